"""Defined terms without which an object cannot be read; they stay even if a patient is called like one of them.

Source: PS3.3 C.7.3.1.1.1 (Modality), C.7.6.1.1.2 (Image Type), C.7.6.3.1.2, C.7.3.1.1.2, C.12.1.1.2.
"""

from __future__ import annotations

import re

_MODALITIES = (
    "AR ASMT AU BDUS BI BMD CD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO "
    "IOL IVOCT IVUS KER KO LEN LS MG MR M3D NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PLAN POS PR PT "
    "PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR "
    "SRF STAIN TEXTUREMAP TG US VA XA XC"
)
_IMAGE_TYPES = (
    "ORIGINAL DERIVED PRIMARY SECONDARY MIXED OTHER AXIAL LOCALIZER PROJECTION M P R I ND NORM MAGNITUDE PHASE NONE"
)
_PHOTOMETRIC = "MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_ICT YBR_RCT YBR_PARTIAL_420 HSV ARGB CMYK"
_OTHERS = "HFS HFP HFDR HFDL FFS FFP FFDR FFDL LFP LFS RFP RFS AFDR AFDL PFDR PFDL YES NO"
_TERMS = frozenset(" ".join((_MODALITIES, _IMAGE_TYPES, _PHOTOMETRIC, _OTHERS)).split()) | {"PALETTE COLOR"}
_CHARACTER_SET = re.compile(r"ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK")


def is_defined_term(text: str) -> bool:
    """True for a term that the standard defines for one of the attributes that every reader needs."""
    return text.strip() in _TERMS or _CHARACTER_SET.fullmatch(text.strip()) is not None
