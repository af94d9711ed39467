"""What can go wrong in the annotation room."""

from __future__ import annotations

from irp_kernel.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound


class SegmentationUnknown(NotFound):
    """There is no such segmentation in this project.

    List the versions of the series: the identifier of each stands there.
    """


class NewerVersionExists(Aborted):
    """Somebody stored another version while you were editing.

    List the versions, merge yours with the newest one, and send it with its version as the one it is based on.
    """


class StateNotReachable(FailedPrecondition):
    """A segmentation cannot go from its present state to the asked one.

    The way is draft or proposed, submitted, then accepted or rejected. Accepted and rejected versions stay as they
    are: send a new version instead.
    """


class UnknownState(InvalidArgument):
    """There is no such state of a segmentation.

    States are proposed, draft, submitted, accepted and rejected; new versions begin as draft, submitted or accepted.
    """


class BadLabelTable(InvalidArgument):
    """The label table cannot be understood.

    Send a JSON object such as {"1": {"name": "lv_blood_pool"}, "2": {"snomed": "49848007"}, "3": null}:
    keys are values of the mask (or segment labels, or contour names), null means background.
    """


class BadAnnotated(InvalidArgument):
    """The statement of what was annotated cannot be understood.

    Send a JSON object: {"lv_blood_pool": {"frames": [0], "slices": [2, 3]}, "lv_myocardium": [[0, 2], [0, 3]]}.
    Frames and slices count from 0; an axis that is not named means all of it.
    """


class BadContours(InvalidArgument):
    """The contours cannot be understood.

    Send {"contours": [{"structure": "lv_blood_pool", "frame": 0, "slice": 3, "points_px": [[column, row], ...]}]}
    with at least three points each, or "points_mm": [[x, y, z], ...] in LPS millimetres.
    """


class EpicardiumAlone(InvalidArgument):
    """An epicardial contour has no endocardial contour on its slice.

    Draw the endocardium there too, or, where the slice holds no cavity, send the contour as `lv_myocardium`.
    """


class BadSegmentationObject(InvalidArgument):
    """The DICOM object is not a segmentation that can be read here.

    Send a Segmentation Storage or Label Map Segmentation object in the patient's coordinate system.
    """


class FramesNotPlaced(InvalidArgument):
    """A frame of the DICOM segmentation cannot be assigned to an image of the series.

    Let each frame refer to its source image (DerivationImageSequence with the series' own SOP instance UIDs);
    for a cine the position alone does not say which time a frame belongs to.
    """


class StructuresOverlap(InvalidArgument):
    """Two structures claim the same voxel.

    Only scar and no-reflow may lie inside the myocardium. Correct the mask so that every voxel has one structure.
    """


class TooManyContours(InvalidArgument):
    """The contours have more points than are taken at once.

    Send fewer contours in one request, or thin the points: ten per centimetre are plenty.
    """

    http_status = 413


class VolumeMovedOn(FailedPrecondition):
    """The segmentation was drawn on another version of the volume.

    Images that arrived late made a new version of the volume: draw or segment again on it.
    """


class NothingDrawn(InvalidArgument):
    """The mask holds no structure, and nothing was said to be annotated.

    Send a label table, or say with `annotated` on which images which structure was looked for and not found.
    """
