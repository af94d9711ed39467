"""Who answers where no version is named: the version that serves by default, or for its share a canary.

A canary that fails gives way to the version that serves by default. Every door asks here, so that all count together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from irp_kernel.errors import IrpError

from irp_inference.domain.errors import LogitsNotFinite, ModelCrashed, ModelParked, PassFailed
from irp_inference.domain.serving import Choice, Policy, shadow_of

T = TypeVar("T")

FAULTS = (ModelCrashed, ModelParked, LogitsNotFinite, PassFailed)  # of the model, not of the request


class Choices(Protocol):
    """Which version answers."""

    async def choice(self, name: str, series_uid: str) -> Choice:
        """For a series."""
        ...

    async def default(self, name: str) -> Choice:
        """Where no canary does."""
        ...

    def policy(self, name: str) -> tuple[Policy, int]:
        """What an operator said, and its revision."""
        ...


class WhoeverServes:
    """Asks the version that serves, and counts.

    Attributes:
        answers: by model and version, of those that named no version.
        canary_failures: by model, what the default version was asked in place of a canary that failed.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self.answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.canary_failures: Counter[str] = Counter()

    async def __call__(
        self, name: str, place: str, ask: Callable[[int], Awaitable[T]], misfits: tuple[type[IrpError], ...] = ()
    ) -> T:
        """The answer; raises what asking the default version raises.

        Args:
            name: of the model.
            place: decides whether a canary has its share in this one: a series, or the id of a request.
            ask: a version.
            misfits: what a canary raises that takes other requests than the default version: no fault of it.
        """
        choice = await self._choices.choice(name, place)
        if choice.role == "canary":
            try:
                return await self._counted(name, choice.version, ask)
            except FAULTS:
                self.canary_failures[name] += 1
            except misfits:
                pass
            choice = await self._choices.default(name)
        return await self._counted(name, choice.version, ask)

    def shadow(self, name: str, served: int, place: str) -> int | None:
        """The version that computes this answer too, or None."""
        return shadow_of(self._choices.policy(name)[0], served, name, place)

    async def _counted(self, name: str, version: int, ask: Callable[[int], Awaitable[T]]) -> T:
        answer = await ask(version)
        self.answers[name][version] += 1
        return answer
