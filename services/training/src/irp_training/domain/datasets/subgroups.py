"""Which subgroups a case belongs to: where and how it was acquired, and of whom, as far as the facts say so."""

from __future__ import annotations

from irp_training.domain.datasets.dataset import Case

AGES = (40, 60)  # years at which a new group begins


def subgroups_of(case: Case) -> dict[str, str]:
    """Attribute -> value; what is not known is left out."""
    tesla = case.field_strength_t
    found = {
        "site": case.site,
        "scanner": " ".join((case.manufacturer, case.manufacturer_model)).strip(),
        # Headers say 1.494 and 2.8936 where people say 1.5 and 3.
        "field strength": f"{round(tesla * 2) / 2:g} T" if tesla > 0 else "",
        "sex": case.sex,
        "age": _age(case.age_years),
    }
    return {attribute: value for attribute, value in found.items() if value}


def _age(years: float) -> str:
    """Decades would make groups too small to say anything of."""
    if years < 0:
        return ""
    young, old = AGES
    return f"under {young}" if years < young else f"{young} to {old - 1}" if years < old else f"{old} and over"
