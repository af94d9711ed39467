"""What is not taken: what no rule can make safe; and suspects, unless whoever asks keeps them apart."""

from __future__ import annotations

from pydicom.dataset import Dataset

from irp_deid.errors import RecordingNotTaken, SopClassUnknown
from irp_deid.profile import Profile
from irp_deid.suspicion import class_name, suspicion_of

# Not for a person to look through: hours of video, raw data of a maker's own form, lists of a medium's files.
_RECORDINGS = ("Raw Data", "Media Storage Directory", "Waveform", "Video", "Audio")


def refuse_unsafe(dataset: Dataset, profile: Profile) -> None:
    """Raise if the instance must not enter.

    Raises:
        SopClassUnknown: private, or no storage class.
        RecordingNotTaken: raw data, waveforms, video, audio, directories.
        SecondaryCapture, BurnedInAnnotation, EncapsulatedDocument, StructuredReport: suspects, unless the profile
            takes them.
    """
    refuse_unknown(dataset)
    suspicion = None if profile.takes_suspects else suspicion_of(dataset, profile)
    if suspicion is not None:
        raise suspicion.error


def refuse_unknown(dataset: Dataset) -> None:
    """Raise for what is never taken.

    Raises:
        SopClassUnknown, RecordingNotTaken: see `refuse_unsafe`.
    """
    name = class_name(dataset)
    if "Storage" not in name and "Directory" not in name:
        raise SopClassUnknown
    if any(word in name for word in _RECORDINGS):
        raise RecordingNotTaken
