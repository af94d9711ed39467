"""The de-identification engine: DICOM in, DICOM without the patient out; rules are data, mappings are keyed."""

from irp_deid.engine import Deidentified, deidentify
from irp_deid.identity import patient_of
from irp_deid.keys import ProjectSecret, SiteKey
from irp_deid.part10 import after_meta, deidentify_file, read_part10, transfer_syntax_of, write_part10
from irp_deid.positive import PositiveList
from irp_deid.profile import EDITION, OPTIONS, Action, Profile
from irp_deid.quiet import quietly
from irp_deid.recheck import recheck
from irp_deid.report import Change, Report

__all__ = [
    "EDITION",
    "OPTIONS",
    "Action",
    "Change",
    "Deidentified",
    "PositiveList",
    "Profile",
    "ProjectSecret",
    "Report",
    "SiteKey",
    "after_meta",
    "deidentify",
    "deidentify_file",
    "patient_of",
    "quietly",
    "read_part10",
    "recheck",
    "transfer_syntax_of",
    "write_part10",
]
