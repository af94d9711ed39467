"""Coding schemes whose code values are public: PS3.16 section 8, the ones that images and their reports use."""

from __future__ import annotations

import re

# Designator -> the form of its code values; anything else is cleaned like other short text.
_FORMS = {
    "DCM": re.compile(r"\d{6}"),
    "SCT": re.compile(r"\d{6,18}"),
    "SRT": re.compile(r"[A-Z]{1,2}\d?-[A-Z0-9]{4,6}"),
    "SNM3": re.compile(r"[A-Z]{1,2}-[A-Z0-9]{4,6}"),
    "99SDM": re.compile(r"[A-Z]{1,2}-[A-Z0-9]{4,6}"),
    "LN": re.compile(r"\d{1,6}-\d"),
    "FMA": re.compile(r"\d{4,6}"),
    "RADLEX": re.compile(r"RID\d{1,6}"),
    "UMLS": re.compile(r"C\d{7}"),
    "UCUM": re.compile(r"[A-Za-z0-9%{}/.*'^\[\]-]{1,16}"),
    "I10": re.compile(r"[A-Z]\d{2}(\.\d{1,4})?"),
}
_FORMS["SNOMED-CT"] = _FORMS["SCT"]


def is_code_of(scheme: str, value: str) -> bool:
    """True if the value has the form of the scheme's codes."""
    form = _FORMS.get(scheme.strip())
    return form is not None and form.fullmatch(value.strip()) is not None
