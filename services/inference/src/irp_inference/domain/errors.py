"""What can go wrong in the classification server."""

from __future__ import annotations

from irp_kernel.errors import (
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    IrpError,
    NotFound,
    ResourceExhausted,
    Unavailable,
)


class InferenceQueueFull(ResourceExhausted):
    """More requests wait than the classification server takes.

    Wait for the time in Retry-After and send the request again.
    """

    retry_after_s = 2.0


class EngineDisagrees(FailedPrecondition):
    """The fast engine does not give what the model's own network gives.

    The version was not loaded, and is not tried again for 15 minutes unless an admin loads it. Choose IRP_ENGINE=torch,
    or export the model again.
    """


class TensorNotUsable(InvalidArgument):
    """The input tensor is not what the model takes.

    Send one FP32 tensor of the shape that ModelMetadata answers.
    """


class ModelCrashed(IrpError):  # not Unavailable: callers try that again by themselves, and this input may be the cause
    """The process that ran the model ended, or did not answer in time, and was killed.

    Other models were not touched, and the process begins anew: send the request again, once. A model that does it
    again and again is parked, for everybody.
    """

    retry_after_s = 2.0


class ModelParked(FailedPrecondition):
    """The model crashed or hung several times and is not tried again by itself.

    Use another version, or load this one again when its cause is removed.
    """


class DeviceOutOfMemory(ResourceExhausted):
    """The device has not enough memory for this pass, even for one input at a time.

    Ask for fewer slices, unload models, or use a device with more memory.
    """

    retry_after_s = 5.0


class LogitsNotFinite(FailedPrecondition):
    """The model answered numbers that are not finite.

    Use another version of the model, or another precision, and tell who trained it.
    """


class PassFailed(IrpError):
    """The engine could not run the network.

    Use another version of the model; its log line names the kind of error.
    """


class ServingNotValid(InvalidArgument):
    """What was said about serving a model is not understood.

    Say pin (a version), canary and shadow (a version and a percentage each); null or absent means none.
    """


class ModelsTooLarge(ResourceExhausted):
    """The model does not fit into the memory that models may take.

    Unload other versions, or raise IRP_MODEL_MEMORY_BYTES.
    """

    retry_after_s = 30.0


class ModelNotSigned(FailedPrecondition):
    """The model version is not signed by a registry that is trusted here.

    The classification server does not load it; what served before goes on. See docs/how-to/signed-models.md: the
    registry's public key belongs into `IRP_MODEL_KEYS_FILE`, and versions are signed when the registry has a key.
    """


class ModelAltered(DataLoss):
    """The bundle in the store is not the one that the registry names.

    The version was not loaded; what served before goes on serving. Tell the operator: an object was changed.
    """


class TooManyAsks(ResourceExhausted):
    """More asks of one live session wait than it takes.

    Wait for answers, leave `keep` out, or cancel what is not wanted any more.
    """

    retry_after_s = 1.0


class AskIdTaken(InvalidArgument):
    """An ask of this id has not ended.

    Give each ask an id of its own.
    """


class ServerLeaves(Unavailable):
    """The classification server is told to leave.

    Send the ask again: another one answers, or this one when it is back.
    """

    retry_after_s = 1.0


class ProposalUnknown(NotFound):
    """No such proposal was asked for.

    Use the `job_id` that `/propose` answered.
    """


class PromptsNotValid(InvalidArgument):
    """What was marked is not what the method needs.

    The detail says which marks it takes; positions are in pixels of the series' grid.
    """


class PromptsNotTaken(InvalidArgument):
    """The model takes no prompts.

    Leave `prompts` out, or name an `algorithm`, or a model that takes them: `GET /api/v1/models/loaded` says which do.
    """


class AlgorithmUnknown(InvalidArgument):
    """There is no method of that name.

    The detail names those that there are.
    """


class VolumeNotOffered(InvalidArgument):
    """The method works in slices only.

    Leave `volume` out, or name one of the methods of the detail.
    """


class TooMuchToLookAt(InvalidArgument):
    """The method would look at more voxels than it may, or for longer than it may.

    Name fewer `slices`, mark a smaller part, or lower the method's `margin` or `reach`.
    """


class ParametersNotValid(InvalidArgument):
    """A parameter of the method is unknown, or out of its range.

    The detail says what there is.
    """


class OptionsNotOffered(InvalidArgument):
    """Answers to marks have neither uncertainty nor further looks, whether a method or a model gives them.

    Ask without options, or ask a model that needs no marks.
    """
