"""What can go wrong with other people's containers."""

from __future__ import annotations

from irp_kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, IrpError, NotFound


class RuntimeMissing(FailedPrecondition):
    """No container runtime was found, so no container can run.

    Install one beside the training server (Debian: `apt-get install podman runc`), or name its command in
    `IRP_CONTAINER_RUNTIME`; in a cluster set `IRP_CONTAINER_NAMESPACE`. Then ask again.
    """


class RuntimeRefused(FailedPrecondition):
    """The container runtime did not start the container, or could not let it go on.

    The operator finds the runtime's own words in the training server's log. Often a limit cannot be kept on this
    machine (cgroups), or there is no room for the image. A container is also ended when the volume of the containers'
    files is almost full, whoever filled it.
    """


class ImageNotReadable(InvalidArgument):
    """The archive is not one container image.

    Send what `docker save` or `podman save --format oci-archive` writes for one image, plain or compressed with gzip.
    """


class ImageNotAllowed(InvalidArgument):
    """The image does not keep the contract of Grand Challenge algorithms.

    It must be linux/amd64, name a USER that is not root (as a number, if it is pushed with a reference for a cluster),
    and have an ENTRYPOINT. The detail says which it lacks.
    """


class WeightsNotReadable(InvalidArgument):
    """The archive of weights cannot be used.

    Send a tar archive, plain or compressed with gzip, of plain files and directories with relative names.
    """


class SocketsNotValid(InvalidArgument):
    """The description of the container's sockets cannot be used.

    One input of the kind Image, one output of the kind Segmentation with a table `labels`, and JSON values beside
    them. The detail names the place; docs/how-to/challenge-containers.md has an example.
    """


class ContainerUnknown(NotFound):
    """There is no such container, or no such version of it.

    `GET /api/v1/containers` lists the names and versions.
    """


class ContainerRunUnknown(NotFound):
    """There is no such run of a container in this project.

    `GET /api/v1/projects/{project}/container-runs` lists them.
    """


class ContainerNotAccepted(FailedPrecondition):
    """The container has not passed its conformance test.

    Read its report: it names the checks that failed. Correct the container and push it again.
    """


class ContainerFailed(FailedPrecondition):
    """The container ended with an exit code that is not 0.

    The run shows the exit code and the last line that the container wrote to its standard error.
    """


class ContainerOutOfMemory(FailedPrecondition):
    """The container was killed, as it is when it needs more memory than it was given.

    Push it again with a larger `memory_mb`, or let it work on smaller pieces. On one machine the runtime tells the exit
    code 137 only: a program that kills itself, or that an operator kills, looks the same.
    """


class ContainerTimeLimit(FailedPrecondition):
    """The container was not ready within its time limit, and was stopped.

    Push it again with a larger `time_s`, or make it faster.
    """


class OutputMissing(InvalidArgument):
    """The container did not write an output that it declares.

    An image is exactly one `.mha` file in its directory, a value is a JSON file; the detail names the socket.
    """


class OutputNotReadable(InvalidArgument):
    """An output of the container cannot be read.

    Images are MetaImage files with their data inside (.mha), values are JSON of the declared kind.
    """


class OutputNotSafe(InvalidArgument):
    """The container wrote something that is not taken from it.

    Only plain files and directories that others may read are: no links, no devices, not too many, not too large.
    """


class OutputGridDiffers(InvalidArgument):
    """The container's mask does not lie on the grid of the image that it was given.

    Shape, spacing, orientation and origin must be those of the input.
    """


class OutputLabelUnknown(InvalidArgument):
    """The container's mask holds a value that its table of labels does not name.

    Name every value under `labels` when the container is pushed; 0 is background.
    """


class ChallengeUnknown(NotFound):
    """There is no such challenge.

    `GET /api/v1/challenges` lists them.
    """


class ChallengeExists(AlreadyExists):
    """There is a challenge of this name already, and a challenge does not change.

    Choose another name.
    """


class ChallengeNotValid(InvalidArgument):
    """The challenge cannot be held like this.

    It needs a deadline in the future, at least one metric, and a project whose test set judges its structures.
    """


class ChallengeClosed(FailedPrecondition):
    """The challenge's deadline has passed.

    Nothing can be entered any more; the leaderboard is final once the last entry is scored.
    """


class ChallengeOpen(FailedPrecondition):
    """The challenge has no winner before its deadline has passed and every entry is scored.

    Wait for the deadline.
    """


class TooManyEntries(FailedPrecondition):
    """Nobody may enter this challenge more often.

    Each further try would fit the test set a little more; the limit was set when the challenge was made.
    """


class EntrySawTestSet(FailedPrecondition):
    """The model, or one that it came from, has learnt from a patient of the challenge's test set.

    Such a result says nothing. Enter a model whose dataset does not hold these patients.
    """


class EntryNeedsMarks(FailedPrecondition):
    """The model answers to clicks, and in a challenge nobody clicks.

    A click would be taken from the labels that no entrant may see. Enter a model that segments by itself.
    """


class EntryUnknown(NotFound):
    """There is no such entry in this challenge.

    The leaderboard lists those that are ranked; the answer to entering names the others.
    """


ITS_FAULT: tuple[type[IrpError], ...] = (
    ContainerFailed,
    ContainerOutOfMemory,
    ContainerTimeLimit,
    OutputMissing,
    OutputNotReadable,
    OutputNotSafe,
    OutputGridDiffers,
    OutputLabelUnknown,
)
"""What a container has done wrong itself; everything else is the platform's trouble."""
