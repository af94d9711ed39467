"""What can go wrong in the classification server."""

from __future__ import annotations

from irp_kernel.errors import FailedPrecondition, InvalidArgument, ResourceExhausted


class InferenceQueueFull(ResourceExhausted):
    """More requests wait than the classification server takes.

    Wait for the time in Retry-After and send the request again.
    """

    retry_after_s = 2.0


class EngineDisagrees(FailedPrecondition):
    """The fast engine does not give what the model's own network gives.

    The version was not loaded. Choose IRP_ENGINE=torch, or export the model again.
    """


class TensorNotUsable(InvalidArgument):
    """The input tensor is not what the model takes.

    Send one FP32 tensor of the shape that ModelMetadata answers.
    """
