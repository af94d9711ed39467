"""A container in the registry, and its runs: what was asked, how far it is, what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from irp_kernel import ObjectRef

from irp_training.domain.run import Progress

State = Literal["queued", "running", "accepted", "refused", "failed"]
RunState = Literal["queued", "running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One version; `changes` counts its changes.

    Attributes:
        digest: SHA-256 over the image's id and the declaration: the same again is the same version.
        image: SHA-256 of the image's configuration, by which the runtime knows it.
        reference: where a cluster's nodes pull it from, by digest; empty = only one machine can run it.
        archive: as it was pushed.
        sockets: canonical JSON of the declaration.
        model: archive of its weights, which it finds in /opt/ml/model; None = it brings its own.
        model_bytes: that the weights unpack to.
        attempt: counts conformance tests from 1.
        report: of the conformance test, as JSON; empty while there is none.
        reason: why the test could not be done, from the error tree.
        promoted_at: when it was last made the champion of its name; empty = never.
        promoted_by: who did that.
    """

    name: str
    version: int
    digest: str
    image: str
    archive: ObjectRef
    sockets: str
    actor: str
    created_at: str
    reference: str = ""
    licence: str = ""
    model: ObjectRef | None = None
    model_bytes: int = 0
    state: State = "queued"
    progress: Progress = field(default_factory=Progress)
    attempt: int = 1
    report: str = ""
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    promoted_at: str = ""
    promoted_by: str = ""
    changes: int = 1

    def __str__(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def ended(self) -> bool:
        """True once the conformance test has ended."""
        return self.state in {"accepted", "refused", "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The series that a run segments, at one version of its volume."""

    series: str
    version: int
    volume: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRun:
    """One container on one series.

    Attributes:
        name: of the container.
        version: of the container.
        mask: what it proposed; None before the end.
        values: further outputs as JSON: by slug, a list with one entry per run of the container.
        ended_with: exit code, seconds, runtime and so on, as JSON.
        said: last line of its standard error; shown to the project's members, kept out of logs and errors.
    """

    project: str
    id: str
    name: str
    version: int
    target: Target
    actor: str
    created_at: str
    state: RunState = "queued"
    progress: Progress = field(default_factory=Progress)
    mask: ObjectRef | None = None
    values: str = ""
    ended_with: str = ""
    said: str = ""
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    changes: int = 1

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in {"succeeded", "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one run of a container ended.

    Attributes:
        exit_code: 0 = well; 137 with `out_of_memory`.
        seconds: from its start to its end.
        said: last line of standard error, bounded.
        outputs: files by path below /output.
        runtime: what ran it, e.g. "podman 4.3.1".
    """

    exit_code: int
    seconds: float
    said: str
    outputs: Mapping[str, bytes]
    runtime: str
    out_of_memory: bool = False
    timed_out: bool = False

    def summary(self) -> dict[str, Any]:
        """Without its files and words."""
        return {"exit_code": self.exit_code, "seconds": round(self.seconds, 3), "runtime": self.runtime}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of a conformance report."""

    name: str
    passed: bool
    detail: str


def report_of(checks: list[Check], **measured: Any) -> str:
    """The report as JSON."""
    return json.dumps({"checks": [asdict(check) for check in checks], **measured}, sort_keys=True)
