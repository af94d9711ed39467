"""What can go wrong in the training server."""

from __future__ import annotations

from irp_kernel.errors import FailedPrecondition, InvalidArgument, IrpError, NotFound, PermissionDenied


class PatientLeak(FailedPrecondition):
    """A patient is in more than one split of the dataset.

    Nothing was learnt. Name each pseudonym once under `splits` of the project's configuration, and start a new run.
    Where the detail says that the same image is taught and held out, one person was sent under two pseudonyms (by two
    sites, for example): name both in the same split, or withdraw one of the series.
    Where the detail says that the base model, or one that it was made from, has learnt from a patient who is held out
    now, choose another base: what that one knows can no longer be judged on this patient.
    """


class FrozenPatient(FailedPrecondition):
    """A patient of the frozen validation or test set would be learnt from.

    Nothing was learnt. Who was held out by any frozen dataset of the project is held out for good, in the same split:
    put `splits` of the configuration back as it was (the detail says which entry), or learn from a newer dataset.
    """


class RulesNotValid(InvalidArgument):
    """The inclusion rules are not valid.

    Read the detail: it names the rule, and what it may hold. Rules that are left out let everything in but series
    with the quality verdict "unusable".
    """


class DatasetUnknown(NotFound):
    """There is no such frozen dataset in this project.

    `GET /api/v1/projects/{project}/datasets` lists them. Name one by its digest, or by at least 8 digits that begin
    no other.
    """


class DatasetEmpty(FailedPrecondition):
    """There is no accepted mask to learn from.

    Accept masks in the project first; series with the quality verdict "unusable", those that the inclusion rules leave
    out, and patients outside the split `training` do not count.
    """


class NothingJudged(FailedPrecondition):
    """No accepted mask judges a structure that this model segments.

    Accept masks that carry at least the blood pool of the left ventricle, or choose other structures in the recipe.
    """


class BadRecipe(InvalidArgument):
    """The recipe is not valid.

    Read the detail: it names the key, and what it may be. Keys that are left out take the room's defaults.
    """


class RunUnknown(NotFound):
    """There is no such training run in this project.

    `GET /api/v1/projects/{project}/training/runs` lists them.
    """


class RunNotWaiting(FailedPrecondition):
    """The run does not wait any more.

    It has begun, or has ended; only runs that wait change their place. Cancel it if another must go first.
    """


class PriorityOutOfRange(InvalidArgument):
    """The priority is not from -100 to 100.

    0 is what runs have that nobody gave one; of two that are equal, the older begins first.
    """


class RunDiverged(FailedPrecondition):
    """The loss became infinite or not a number.

    Start a new run with a lower learning rate.
    """


class PipelineNotLearnt(InvalidArgument):
    """Training cannot go on from this bundle: it would teach its networks something else than they will see.

    Bases have one network per stage, see slices one by one as they are stored (`dimension` 2d, no `orientation`, no
    `spacing`) or stacks of them (3d), take no marks, and scale intensities by percentiles. Push such a bundle, let the
    recipe say `"pipeline": "own"`, which takes the weights of its net 2 into this platform's pipeline if that sees
    single slices, or train from scratch (`"dimensions": 3` for stacks).
    """


class CandidateWorse(FailedPrecondition):
    """The candidate did not pass the gate beside the champion.

    The champion stays. The detail says on what it failed, with the structure that lost most and its mean difference of
    Dice; `irp models history NAME --gate VERSION` shows the whole verdict. Train longer, add masks or patients.
    """


class SecondPersonNeeded(PermissionDenied):
    """A second person has to agree to this promotion.

    Whoever asked for it, pushed the version, or started the run that made it, cannot approve it. Another
    administrator can: `irp models approve NAME VERSION`.
    """


class NothingToDecide(FailedPrecondition):
    """The version does not wait for anybody's word.

    `irp models history NAME` shows what became of it. Ask for its promotion, then a second person can approve it.
    """


class VerdictOutdated(FailedPrecondition):
    """Another version became the champion after the gate had judged this one.

    The verdict compared with a champion that is none any more, and holds no longer. Ask for the promotion again.
    """


class NoEarlierChampion(FailedPrecondition):
    """There is no earlier champion to go back to.

    A rollback undoes the latest promotion; this model has had one only.
    """


class PrecisionUnknown(InvalidArgument):
    """There is no reduced precision of that name.

    Ask for `int8` or `bfloat16`; float32 is always there and needs no guard.
    """


class NoFrozenSet(FailedPrecondition):
    """There is no frozen validation set to judge a reduced precision on.

    Name a project whose accepted masks shall judge it, with patients in the split `validation`; a version that was
    trained here has a set of its own.
    """


class TrialUnknown(NotFound):
    """The reduced precision was never asked for, for this version.

    `POST /api/v1/models/{name}/versions/{version}/precisions` asks for it.
    """


class QuantiserMissing(FailedPrecondition):
    """The training server cannot reduce networks.

    Install it with its extra `int8` (the packages `openvino` and `nncf`), and ask again.
    """


class NotQuantisable(FailedPrecondition):
    """The network could not be reduced to int8.

    The version serves in float32 as before. The log of the training server names the kind of error.
    """


class NetworkMisbehaves(InvalidArgument):
    """A network of the bundle does not answer as the bundle says.

    The detail says how. A network answers one tensor of float32 logits, of the size of `irp_pipeline` and with the
    channels of `channel_def`, finite, the same each time, and for each image by itself.
    """


class InspectionFailed(InvalidArgument):
    """The bundle could not be looked through: the process that did so ended.

    It runs without network and with bounded memory. Try the bundle with MONAI's own tools on your machine; if it runs
    there, give the trace id of this answer to the operator.
    """


class InspectionTooLong(InvalidArgument):
    """The bundle took too long to look through, or for one pass on a case, and was given up.

    The detail says after how many seconds. Push a smaller network, or let the operator raise `IRP_SANDBOX_SECONDS`.
    """


class InspectionTooLarge(InvalidArgument):
    """The bundle's networks need more memory than they may have.

    The detail says how much there is. Push a smaller network or smaller inputs, or let the operator raise
    `IRP_SANDBOX_MEMORY_BYTES`.
    """


class ModelReportUnknown(NotFound):
    """There is no report on this version.

    Versions that were pushed have one; `POST /api/v1/models/{name}/versions/{version}/report` begins one for any other.
    """


class ModelSawPatients(FailedPrecondition):
    """The model has learnt from patients that shall judge it.

    Nothing was measured: figures on what a model was taught say nothing. Choose a project, or the split `test` of the
    dataset of its own run, whose patients it has never seen; the detail tells how many were.
    """


class ValidationUnknown(NotFound):
    """There is no such validation of this version.

    `POST /api/v1/models/{name}/versions/{version}/validate` asks for one, and tells its id.
    """


class WorkCrashed(IrpError):
    """The process that worked ended with an error that nobody thought of.

    It is not tried again: it would end so again. The detail names the kind of error; the log of the training server
    (`work_crashed`) also the place. Give both to whoever maintains this software.
    """


class OutOfMemory(FailedPrecondition):
    """The device's memory does not suffice for one slice.

    Nothing was registered. Choose narrower networks or smaller windows in the recipe (`segment_channels`,
    `segment_size`), or a device with more memory (`IRP_TRAINING_DEVICE`), and start a new run.
    """


class NothingToReplay(FailedPrecondition):
    """What the base learnt from is not known here, so that nothing of it can be replayed.

    Only versions that were trained in this installation name their dataset. Leave `replay` out; `remember` keeps what
    the base says of structures that an expert did not judge.
    """
