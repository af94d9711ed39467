"""Where heavy work happens: never here, always in a process of its own."""

# ruff: noqa: D102 - a port is its signature

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.pushing.inspected import Inspected
from irp_training.domain.reducing.trial import TrialOutcome, TrialPlan
from irp_training.domain.registry.examined import Examined
from irp_training.domain.validations.plan import ValidationOutcome, ValidationPlan

T = TypeVar("T")
Listener = Callable[[Said], Awaitable[bool]]  # False: end now, the run was cancelled
StoredFile = tuple[Case, str, bytes | Path, bytes | Path]  # case, split, volume file, mask file: or where they lie


class CaseFiles(Protocol):
    """A way to read case files, as often as is wanted."""

    def __call__(self, only: Collection[str] = ()) -> AsyncIterator[StoredFile]:
        """One after the other; of these splits only, if any is named."""
        ...


class Examiner(Protocol):
    """Who measures models for the gate."""

    async def examine(
        self, bundles: Sequence[bytes], files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> tuple[Examined, ...]:
        """Each bundle on the same files; `listen` hears how many of them are measured."""
        ...


class Appraiser(Protocol):
    """Who measures bundles from outside."""

    async def appraise(
        self, bundle: bytes, files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> list[Mapping[str, float]]:
        """Dice per structure, case by case in their order; the listener hears how many are done."""
        ...


class Worker(Examiner, Appraiser, Protocol):
    """Where the heavy work happens: a process of its own."""

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        """None if the listener ended it."""
        ...

    async def guard(self, plan: TrialPlan, files: CaseFiles, listen: Listener) -> TrialOutcome: ...

    async def validate(self, plan: ValidationPlan, files: CaseFiles, listen: Listener) -> ValidationOutcome: ...


Inspect = Callable[[bytes], Awaitable[Inspected]]  # what is wrong with a bundle is in the answer


class Compute(Protocol):
    """Runs heavy work away from the event loop."""

    def __call__(self, work: Callable[..., T], *arguments: object) -> Awaitable[T]: ...
