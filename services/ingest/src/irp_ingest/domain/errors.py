"""Why something does not come in, or does not become a volume."""

from __future__ import annotations

from irp_deid.errors import (
    BurnedInAnnotation,
    EncapsulatedDocument,
    InstanceRefused,
    RecordingNotTaken,
    RefusedByRule,
    SecondaryCapture,
    SopClassUnknown,
    StructuredReport,
)
from irp_kernel.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, IrpError, NotFound, TooLarge


class InstanceTooLarge(InstanceRefused):
    """The instance is larger than the limit.

    Ask the operator to raise IRP_MAX_INSTANCE_BYTES.
    """


class UploadCutOff(InstanceRefused):
    """The upload ended in the middle of a file.

    Nothing of that file was kept; send it again.
    """


class MemoryFull(InstanceRefused):
    """Other uploads hold the memory that this file needs.

    Send it again after a moment; what was stored of the upload is not stored twice.
    """


class SeriesBeingDeleted(InstanceRefused):
    """Instances of this series were deleted, and their objects are being removed.

    Send it again after a moment.
    """


class ObjectsWereRemoved(FailedPrecondition):
    """Objects of the series were removed while this one was being stored.

    It is stored again by itself.
    """


class SeriesChanged(Aborted):
    """The study got another series while it was to be deleted.

    Look at what came, and delete again if you still want to.
    """


class IdentifiersMissing(InstanceRefused):
    """The instance lacks the UIDs that every instance must have.

    Study, series, SOP instance and SOP class UID are needed.
    """


class StudyMismatch(InstanceRefused):
    """The instance belongs to another study than the address says.

    Send it to /studies, or to its own study's address.
    """


class NotInReport(InstanceRefused):
    """The uploader's report does not list this file.

    A file must arrive with exactly the bytes whose SHA-256 its report tells. De-identify it again and send both.
    """


class NotDeidentified(InstanceRefused):
    """The file that came as de-identified holds what the project's profile takes away.

    PatientIdentityRemoved alone proves nothing. Let `irp upload --local` de-identify it by the project's newest
    configuration, or send the original without a report where the project allows that.
    """


class DeidentifiedBeforeArrival(FailedPrecondition):
    """The project takes only what was de-identified before it arrived.

    Send it by `irp upload`, which de-identifies on your side and signs a report; other programs fetch the key, POST
    their signed report, and name it in X-IRP-Report.
    """


class ReportUnknown(NotFound):
    """There is no such report of an upload in the project.

    `GET /api/v1/projects/{project}/deidentification/reports` lists them.
    """


class ReportOutdated(FailedPrecondition):
    """The uploader's report was made under other rules than the project's present ones, or for another site.

    Fetch the key and the configuration again, de-identify the originals again, and send the new report.
    """


class Quarantined(InstanceRefused):
    """The instance waits in quarantine: its pixels or texts may name somebody.

    A curator or owner of the project looks at it and releases it, masks regions of it, or discards it. Sending it
    again changes nothing.
    """


class QuarantineDiscarded(InstanceRefused):
    """A curator looked at this instance in quarantine and discarded it.

    Clean its pixels at the source and send it under a SOP Instance UID of its own, or leave it out.
    """


class QuarantineFull(InstanceRefused):
    """The instance may name somebody, and the project's quarantine is full.

    A curator has to decide about those that wait there; then send it again.
    """


class QuarantineUnknown(NotFound):
    """There is no such instance in quarantine.

    `GET /api/v1/projects/{project}/quarantine` lists those that wait.
    """


class QuarantineDecided(FailedPrecondition):
    """Somebody decided otherwise about this instance before.

    A decision stands. `irp quarantine list --state all` shows who made it and when.
    """


class DecisionNotValid(InvalidArgument):
    """The decision cannot be carried out.

    `release` and `discard` take no regions; `mask` takes 1 to 64 regions of an image, each x, y, width and height in
    pixels.
    """


class CannotMask(FailedPrecondition):
    """The pixels of this instance cannot be masked.

    Only images can that this installation decodes, of whole bytes per sample and at most 1 GiB decoded. Discard it, or
    release it if nothing in it names anybody.
    """


class NoPreview(FailedPrecondition):
    """There is nothing to show of this instance.

    Its pixels cannot be decoded here, or its document is larger than 64 MiB. If nobody can say what it holds, discard
    it.
    """


class ContentDiffers(AlreadyExists):
    """Another file with the same SOP Instance UID is stored.

    A changed image needs a new SOP Instance UID. The stored one was left as it is.
    """


class ImportNotDescribed(InvalidArgument):
    """What goes with the imported image is not complete or not valid.

    Give `patient`, and if you like `modality` (MR or CT), `description` and `sequence`: short printable texts.
    """


class ImageSheared(InvalidArgument):
    """The grid of the imported image is sheared.

    A series in DICOM has perpendicular axes. Resample the image to a rectangular grid and send that.
    """


class ImageDegenerate(InvalidArgument):
    """The transform of the imported image does not say where its voxels lie.

    Three directions are needed that are no multiples of one another, of finite lengths above zero.
    """


class ImagePlaceContradicted(InvalidArgument):
    """The sform and the qform of the NIfTI file put the image in different places.

    Programs disagree on which of them counts. Set the code of the wrong one to 0, or make them equal, and send it
    again.
    """


class ImportNotFinite(InvalidArgument):
    """The imported image holds values that are no finite numbers.

    Replace NaN and infinities by what they mean, for example 0 outside a mask, and send it again.
    """


class ImageTooWide(InvalidArgument):
    """The values of the imported image do not fit into the 16 bits of a DICOM image.

    Whole numbers may span 65,535; fractions lose at most 0.1 % of the spread of the image. Rescale it, or cut off
    values that are far from all others, and send it again.
    """


class ImageKnownOtherwise(AlreadyExists):
    """The same image is in the project already, with another patient, modality or description.

    One image is one series, so that it never stands on both sides of a split under two names. The stored one was left
    as it is.
    """


class ImportRefused(FailedPrecondition):
    """The rules of the project do not take the imported image as a whole.

    The detail names the reason of its instances; `/problems/REASON` says what to do about it. What waits in
    quarantine is decided there.
    """


class NotAssembled(FailedPrecondition):
    """The series did not become a volume.

    Its instances are stored; the reason says what does not fit.
    """


class SeriesOrientationMixed(NotAssembled):
    """The images of the series do not have the same orientation.

    Images of one stack may differ by 0.01 degree; send localizers and other stacks as series of their own.
    """


class SeriesMatrixMixed(NotAssembled):
    """The images of the series do not have the same matrix or pixel spacing.

    Send them as series of their own.
    """


class SeriesPhasesUneven(NotAssembled):
    """The slice positions of the series do not have the same number of phases.

    Send the missing images; they make a new version by themselves.
    """


class SeriesPitchUneven(NotAssembled):
    """The slices of the series are not equally spaced.

    A slice may be missing: send it; it makes a new version by itself.
    """


class SeriesTilted(NotAssembled):
    """The slices are shifted steadily against each other: the gantry was tilted.

    Voxels of a volume must be rectangular boxes. Send a reconstruction without tilt.
    """


class SeriesInColour(NotAssembled):
    """The images of the series are in colour.

    A volume holds one measured value per voxel: send the grey images, not fused pictures or colour maps.
    """


class SeriesHasNoPlane(NotAssembled):
    """The images of the series do not say where they lie.

    ImagePositionPatient, ImageOrientationPatient and PixelSpacing are needed of each image or frame, as numbers, the
    spacing above zero. Secondary captures and screenshots have none: send the images of the scanner.
    """


class PixelsNotReadable(NotAssembled):
    """The pixels of an image cannot be decoded.

    Its compression may be broken or not offered here; send the series uncompressed.
    """


class FrameUnknown(NotFound):
    """The instance has no such frame.

    Frames are counted from 1; NumberOfFrames in the metadata says how many there are.
    """


class RegionOutside(InvalidArgument):
    """The region lies outside the image.

    A region is x, y, width and height in the image's own pixels; in `viewport` they stand behind the picture's width
    and height.
    """


class SearchTooWide(InvalidArgument):
    """The search would have to read too many headers.

    Add a key that the index knows: a UID, PatientID, StudyDate, AccessionNumber, Modality; or search below one study.
    """

    http_status = 413


class ClinicalNotReadable(InvalidArgument):
    """The clinical data cannot be read.

    Send a FHIR R4 Bundle as JSON, or a CSV table whose first column is the patient's identifier.
    """


class SeriesPositionRepeated(NotAssembled):
    """Several images lie in the same place, and nothing says that they differ in time.

    Echoes, diffusion weights, or magnitude and phase images whose ImageType does not say which they are: send them as
    series of their own.
    """


class SeriesTooLarge(NotAssembled):
    """The series has more voxels than one volume may have.

    Split it into series of their own.
    """


OUT_OF_RESOURCES, NOT_MATCHING, NOT_UNDERSTOOD, CLASS_NOT_SUPPORTED = 0xA700, 0xA900, 0xC000, 0x0122
PROCESSING_FAILURE, DUPLICATE = 0x0110, 0x0111
_FAILURES: dict[type[IrpError], int] = {
    InstanceTooLarge: OUT_OF_RESOURCES,
    TooLarge: OUT_OF_RESOURCES,
    MemoryFull: OUT_OF_RESOURCES,
    SeriesBeingDeleted: OUT_OF_RESOURCES,
    IdentifiersMissing: NOT_MATCHING,
    NotInReport: NOT_MATCHING,
    NotDeidentified: PROCESSING_FAILURE,
    StudyMismatch: NOT_MATCHING,
    Quarantined: PROCESSING_FAILURE,
    QuarantineDiscarded: PROCESSING_FAILURE,
    QuarantineFull: OUT_OF_RESOURCES,
    RefusedByRule: PROCESSING_FAILURE,
    SopClassUnknown: CLASS_NOT_SUPPORTED,
    RecordingNotTaken: CLASS_NOT_SUPPORTED,
    SecondaryCapture: CLASS_NOT_SUPPORTED,
    EncapsulatedDocument: CLASS_NOT_SUPPORTED,
    StructuredReport: CLASS_NOT_SUPPORTED,
    BurnedInAnnotation: PROCESSING_FAILURE,
    ContentDiffers: DUPLICATE,
}


def failure_reason(error: IrpError) -> int:
    """Failure Reason (0008,1197). Source: PS3.18 10.5.3, PS3.4 table B.2-1, PS3.7 annex C."""
    return _FAILURES.get(type(error), NOT_UNDERSTOOD)
