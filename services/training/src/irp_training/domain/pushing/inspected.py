"""What the sandbox found of a bundle: the checks, the report, or what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from irp_kernel.errors import IrpError

from irp_training.domain.pushing.inspection import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A bundle that was looked through.

    Attributes:
        checks: in their order; the last one is the one that failed, where there is a problem.
        report: see `inspection.inspect`; empty where there is a problem.
        problem: why the bundle is not taken; None = it is.
    """

    checks: tuple[Check, ...]
    report: Mapping[str, Any] = field(default_factory=dict)
    problem: IrpError | None = None

    def document(self) -> dict[str, Any]:
        """As JSON, for people and for the registry."""
        checks = [asdict(check) for check in self.checks]
        if self.problem is not None:
            failed = Check(name=self.problem.reason, state="failed", says=self.problem.message)
            checks.append(asdict(failed))
        # The report comes from the sandbox: it says nothing about whether the bundle has passed.
        return {**self.report, "passed": self.problem is None, "checks": checks}
