"""Which component of a complex image one shows, and which of them a series' volume is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAGNITUDE, REAL, PHASE, IMAGINARY = "magnitude", "real", "phase", "imaginary"
MAGNITUDE_FIRST = (MAGNITUDE, REAL, PHASE, IMAGINARY)
SIGNED_FIRST = (REAL, PHASE, MAGNITUDE, IMAGINARY)  # phase-sensitive inversion recovery is made for its sign
_WORDS = {
    MAGNITUDE: {"M", "MAG", "MAGNITUDE", "M_IR", "M_FFE", "M_SE", "M_TSE", "M_PCA"},
    REAL: {"R", "REAL", "R_IR", "R_FFE", "R_SE", "R_TSE", "CR", "PSIR", "PS"},
    PHASE: {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "VELOCITY MAP"},
    IMAGINARY: {"I", "IMAG", "IMAGINARY", "I_IR", "I_FFE", "I_SE", "I_TSE"},
}


def component_of(image_type: Any, complex_component: Any) -> str:
    """The component that ComplexImageComponent, or else a word of ImageType from the third on, names; or empty.

    Source: PS3.3 C.8.13.3.1.1 (Complex Image Component), C.7.6.1.1.2 (value 3 and further of Image Type).
    """
    if isinstance(image_type, str) or image_type is None:
        image_type = ()
    for word in (str(complex_component or ""), *map(str, list(image_type)[2:])):
        for component, words in _WORDS.items():
            if word.strip().upper() in words:
                return component
    return ""


def preferred(candidates: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Components, the one wanted most first: the signed one if a class of sequence that the series may have is PSIR."""
    signed = any("psir" in str(rule["class"]).lower() for rule in candidates)
    return SIGNED_FIRST if signed else MAGNITUDE_FIRST
