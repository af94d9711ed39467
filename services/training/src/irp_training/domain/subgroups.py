"""Which subgroups a case belongs to: where and how it was acquired, and of whom, as far as the facts say so."""

from __future__ import annotations

from irp_training.domain.dataset import Case


def subgroups_of(case: Case) -> dict[str, str]:
    """Attribute -> value; what is not known is left out."""
    found = {"site": case.site}
    return {attribute: value for attribute, value in found.items() if value}
