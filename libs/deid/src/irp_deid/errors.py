"""Why the engine refuses an instance. A refused instance leaves nothing behind."""

from __future__ import annotations

from irp_kernel.errors import FailedPrecondition, InvalidArgument


class InstanceRefused(InvalidArgument):
    """The instance was refused; nothing of it was stored.

    The reason beside it says why; correct the file at its source and send it again.
    """


class NotDicom(InstanceRefused):
    """The file is not a readable DICOM Part 10 file.

    Send files that begin with a preamble of 128 bytes and the letters DICM, whole, with their pixel data.
    """


class SopClassUnknown(InstanceRefused):
    """The file's SOP class is not one of the standard's storage classes.

    Private and withdrawn classes cannot be de-identified safely: export the images as a standard class.
    """


class SecondaryCapture(InstanceRefused):
    """Captures of screens often show names in their pixels; nobody has looked at this one.

    Send the original images of the modality. Sent as they are, captures wait in the project's quarantine, where a
    curator decides.
    """


class EncapsulatedDocument(InstanceRefused):
    """Documents inside DICOM cannot be de-identified by rules.

    Send the images only; values from reports belong into the clinical table. Sent as they are, documents wait in the
    project's quarantine, where a curator decides.
    """


class RecordingNotTaken(InstanceRefused):
    """Raw data, waveforms, video, audio and directories are not taken.

    Nobody can say that they name no one. Send the images only.
    """


class BurnedInAnnotation(InstanceRefused):
    """The pixels carry, or may carry, burned-in identifiers.

    Clean the pixels and set Burned In Annotation (0028,0301) to NO, or leave these images out. Sent as they are, they
    wait in the project's quarantine, where a curator decides.
    """


class StructuredReport(InstanceRefused):
    """Structured reports hold free text, and the project does not clean structured content.

    Ask the project's owner for the option 113103, or bring values from reports by the clinical table. Sent as they
    are, reports wait in the project's quarantine, where a curator decides.
    """


class RefusedByRule(InstanceRefused):
    """A rule of the project about pixels refuses images like this one.

    Ask the project's owner what `deidentification.pixels` of the configuration is meant to keep out.
    """


class NotMaskedHere(InstanceRefused):
    """A rule of the project masks regions of this image, or has a person look at it: where originals arrive.

    Send it without `--local`, or leave it out.
    """


class CannotDeidentify(InstanceRefused):
    """The file cannot be read or written completely, so nobody can say what it holds.

    Export it again from its archive; the pixel data and the header must follow the standard.
    """


class UnsupportedProfile(FailedPrecondition):
    """The project's de-identification profile asks for something this engine does not do.

    Use the profile `basic` with options among 113101 and 113103 to 113112; 113106 and 113107 exclude each other.
    """


class PositiveListNotValid(InvalidArgument):
    """The project's positive list is not one that the engine can follow.

    It has a name, a version and attributes: keywords of the DICOM dictionary, tags in quotes ("0018,0081"), "60xx", or
    private ones by creator and element. The detail names the place to correct.
    """


class VocabularyNotValid(InvalidArgument):
    """The project's vocabulary holds something that is not a word.

    At most 500 words of 3 to 32 letters and digits with at least one letter; no names, no numbers. The detail names the
    place to correct.
    """


class ReportNotReadable(InvalidArgument):
    """The document is not a report of an upload.

    It is a compact JWS of the schema in docs/reference/upload-report.md, with at most 4096 instances.
    """
