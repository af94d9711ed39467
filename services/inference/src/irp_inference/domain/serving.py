"""Which version of a model answers: the champion, a pinned version, or for some series a canary. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from irp_inference.domain.errors import ServingNotValid

Role = Literal["champion", "pinned", "canary", "asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A version and the part of the requests that it gets.

    Attributes:
        version: of the same model.
        percent: above 0, at most 100.
    """

    version: int
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an operator has said about a model.

    Attributes:
        pin: this version answers, whatever is promoted.
        canary: this version answers for some series.
        shadow: this version computes some answers too, for comparison only.
    """

    pin: int | None = None
    canary: Share | None = None
    shadow: Share | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Policy:
        """Read a policy.

        Raises:
            ServingNotValid: an unknown key, a version that is none, a share out of bounds.
        """
        if set(document) - {"pin", "canary", "shadow"}:
            raise ServingNotValid("keys are pin, canary, shadow")
        pin = document.get("pin")
        return cls(
            pin=None if pin is None else _version(pin),
            canary=_share(document.get("canary")),
            shadow=_share(document.get("shadow")),
        )

    def to_json(self) -> dict[str, Any]:
        """As it travels."""
        return asdict(self)

    def once_promoted(self, champion: int) -> Policy:
        """What is left of it when a version becomes the champion: trials of that one and of older ones are over.

        They would otherwise answer again after a rollback, which says that the version is bad.
        """
        canary, shadow = (
            None if share and share.version <= champion else share for share in (self.canary, self.shadow)
        )
        return replace(self, canary=canary, shadow=shadow)

    @property
    def versions(self) -> frozenset[int]:
        """Every version that it names."""
        shares = (self.canary, self.shadow)
        return frozenset({*(share.version for share in shares if share), *([self.pin] if self.pin else [])})


@dataclass(frozen=True, slots=True)
class Choice:
    """Which version answers, and as what."""

    version: int
    role: Role


def choose(policy: Policy, champion: int, name: str, series_uid: str, usable: Collection[int]) -> Choice:
    """The version for a series: the same one whenever it is asked, so that a reader sees one model.

    Args:
        policy: of the model.
        champion: what the registry says.
        name: of the model.
        series_uid: which series.
        usable: versions that are loaded; a canary that is not has no share.
    """
    canary = policy.canary
    if canary and canary.version in usable and place("canary", name, series_uid) < canary.percent:
        return Choice(canary.version, "canary")
    return default_of(policy, champion, usable)


def default_of(policy: Policy, champion: int, usable: Collection[int]) -> Choice:
    """The version that answers whom no canary answers: the pin; without one, or if it is not loaded, the champion."""
    if policy.pin and policy.pin in usable:
        return Choice(policy.pin, "pinned")
    return Choice(champion, "champion")


def shadow_of(policy: Policy, served: int, name: str, series_uid: str) -> int | None:
    """The version that computes this answer too, or None."""
    shadow = policy.shadow
    if shadow is None or shadow.version == served or place("shadow", name, series_uid) >= shadow.percent:
        return None
    return shadow.version


def place(purpose: str, name: str, series_uid: str) -> float:
    """Where a series falls between 0 and 100, evenly, for each purpose and model anew."""
    digest = hashlib.sha256(f"{purpose}/{name}/{series_uid}".encode()).digest()
    return 100.0 * int.from_bytes(digest[:8], "big") / 2**64


def _share(document: object) -> Share | None:
    if document is None:
        return None
    if not isinstance(document, Mapping) or set(document) != {"version", "percent"}:
        raise ServingNotValid("a share has version and percent")
    percent = document["percent"]
    if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 < percent <= 100:
        raise ServingNotValid("percent is above 0 and at most 100")
    return Share(version=_version(document["version"]), percent=float(percent))


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ServingNotValid("versions are integers from 1")
    return value
