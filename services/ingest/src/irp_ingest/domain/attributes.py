"""Attributes that a search names and answers, by level.

An attribute of a lower level is not answered at a higher one: a study has no one SeriesDescription.
Source: PS3.18 tables 10.6.3-3 to 10.6.3-5, PS3.3 C.7.1 to C.7.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

MAX_DEPTH = 4  # sequences in sequences that a name may walk through
ALL = "all"
# Always answered, if only as empty ("R"), and answered if known ("C").
REQUIRED = {
    "study": ("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName", "PatientName",
              "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
    "series": ("Modality", "SeriesInstanceUID", "SeriesNumber"),
    "instance": ("SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
}  # fmt: skip
KNOWN = {
    "study": ("TimezoneOffsetFromUTC", "StudyDescription"),
    "series": ("SeriesDescription", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
               "RequestAttributesSequence"),
    "instance": ("Rows", "Columns", "BitsAllocated", "NumberOfFrames"),
}  # fmt: skip
# What more may be asked for: modules of patient and study, then of series, equipment and frame of reference.
_OF_STUDY = """
    IssuerOfPatientID TypeOfPatientID PatientBirthTime OtherPatientIDs OtherPatientNames OtherPatientIDsSequence
    EthnicGroup PatientComments PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
    ResponsiblePerson ReferencedPatientSequence QualityControlSubject PatientIdentityRemoved DeidentificationMethod
    DeidentificationMethodCodeSequence LongitudinalTemporalInformationModified ConsultingPhysicianName
    IssuerOfAccessionNumberSequence PhysiciansOfRecord NameOfPhysiciansReadingStudy RequestingService
    ReferencedStudySequence ProcedureCodeSequence ReasonForPerformedProcedureCodeSequence
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientWeight
    PatientBodyMassIndex MedicalAlerts Allergies SmokingStatus PregnancyStatus LastMenstrualDate PatientState
    Occupation AdditionalPatientHistory AdmissionID ServiceEpisodeID ServiceEpisodeDescription PatientSexNeutered
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialTimePointID
    ClinicalTrialTimePointDescription
"""
_OF_SERIES = """
    Laterality SeriesDate SeriesTime PerformingPhysicianName ProtocolName SeriesDescriptionCodeSequence
    OperatorsName ReferencedPerformedProcedureStepSequence RelatedSeriesSequence BodyPartExamined PatientPosition
    SmallestPixelValueInSeries LargestPixelValueInSeries PerformedProcedureStepEndDate PerformedProcedureStepEndTime
    PerformedProcedureStepID PerformedProcedureStepDescription PerformedProtocolCodeSequence
    CommentsOnThePerformedProcedureStep AnatomicalOrientationType Manufacturer InstitutionName InstitutionAddress
    StationName InstitutionalDepartmentName ManufacturerModelName DeviceSerialNumber DeviceUID SoftwareVersions
    GantryID SpatialResolution DateOfLastCalibration TimeOfLastCalibration FrameOfReferenceUID
    PositionReferenceIndicator ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID
    ClinicalTrialSeriesDescription
"""


def tag_of(name: str) -> str | None:
    """An attribute's tag (8 hexadecimal digits) from keyword or tag; None if there is none."""
    if len(name) == 8 and all(c in "0123456789abcdefABCDEF" for c in name):
        return name.upper()
    tag = tag_for_keyword(name)
    return f"{tag:08X}" if tag is not None else None


def path_of(name: str) -> tuple[str, ...] | None:
    """Tags from `Sequence.Attribute`, outermost first; None if one is unknown. Source: PS3.18 section 8.3.4.1."""
    tags = tuple(tag for part in name.split(".") if (tag := tag_of(part)) is not None)
    return tags if len(tags) == name.count(".") + 1 <= MAX_DEPTH else None


def _tags(keywords: Iterable[str]) -> tuple[str, ...]:
    return tuple(tag for keyword in keywords if (tag := tag_of(keyword)) is not None)


_LEVELS = ("study", "series", "instance")
_ABOVE = {level: _LEVELS[: at + 1] for at, level in enumerate(_LEVELS)}
# Level -> tags that each answer has: those of the level and of what lies above it.
_ALWAYS = {level: _tags(word for up in above for word in REQUIRED[up]) for level, above in _ABOVE.items()}
_IF_KNOWN = {level: _tags(word for up in above for word in KNOWN[up]) for level, above in _ABOVE.items()}
_MORE = {"study": _tags(_OF_STUDY.split()), "series": _tags((_OF_STUDY + _OF_SERIES).split())}


def answered(level: str, named: Iterable[str]) -> tuple[str, ...] | None:
    """Tags that answers of a level have if these attributes are asked for; None = everything that there is.

    Args:
        level: "study", "series" or "instance".
        named: of `includefield` and of the keys; "all" = everything that the level has.
    """
    names = list(named)
    always = _ALWAYS[level] + _IF_KNOWN[level]
    if level == "instance":
        asked = {path[0] for name in names if (path := path_of(name))} - set(always)
        return None if ALL in names else (*always, *sorted(asked))
    asked = set(_MORE[level]) if ALL in names else {path[0] for name in names if (path := path_of(name))}
    return (*always, *sorted(asked & set(_MORE[level])))


def answer(level: str, header: Mapping[str, Any], computed: Mapping[str, Any]) -> dict[str, Any]:
    """A match as DICOM JSON: what is required and has no value is there as empty."""
    empty = {tag: {"vr": dictionary_VR(int(tag, 16))} for tag in _ALWAYS[level]}
    return dict(sorted({**empty, **header, **computed}.items()))
