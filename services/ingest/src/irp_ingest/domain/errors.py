"""Why something does not come in, or does not become a volume."""

from __future__ import annotations

from typing import ClassVar

from irp_kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument


class InstanceRefused(InvalidArgument):
    """The instance was refused; nothing of it was stored.

    The reason beside it says why; correct the file at its source and send it again.
    """

    failure_reason: ClassVar[int] = 0xC000  # PS3.18 table 10.5.3-2 / PS3.4 table B.2-1


class NotDicom(InstanceRefused):
    """The file is not DICOM.

    Send DICOM Part 10 files: 128 bytes of preamble, `DICM`, file meta information.
    """


class DicomBroken(InstanceRefused):
    """The file begins like DICOM but cannot be read to its end.

    Send it again; if it stays, it is damaged at its source.
    """


class InstanceTooLarge(InstanceRefused):
    """The instance is larger than the limit.

    Ask the operator to raise IRP_MAX_INSTANCE_BYTES.
    """

    failure_reason = 0xA700


class IdentifiersMissing(InstanceRefused):
    """The instance lacks the UIDs that every instance must have.

    Study, series, SOP instance and SOP class UID are needed.
    """

    failure_reason = 0xA900


class StudyMismatch(InstanceRefused):
    """The instance belongs to another study than the address says.

    Send it to /studies, or to its own study's address.
    """

    failure_reason = 0xA900


class PixelsMayIdentify(InstanceRefused):
    """The image may show names in its pixels, or holds a document.

    Secondary captures, ultrasound, screen shots and encapsulated documents are not taken unless rules prove them clean.
    """

    failure_reason = 0x0122


class ContentDiffers(AlreadyExists):
    """Another file with the same SOP Instance UID is stored.

    A changed image needs a new SOP Instance UID. The stored one was left as it is.
    """

    failure_reason: ClassVar[int] = 0x0111


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


class SeriesHasNoPlane(NotAssembled):
    """The images of the series do not say where they lie.

    ImagePositionPatient, ImageOrientationPatient and PixelSpacing are needed.
    """


class PixelsNotReadable(NotAssembled):
    """The pixels of an image cannot be decoded.

    Its compression may be broken or not offered here; send the series uncompressed.
    """


class ClinicalNotReadable(InvalidArgument):
    """The clinical data cannot be read.

    Send a FHIR R4 Bundle as JSON, or a CSV table whose first column is the patient's identifier.
    """
