"""Algorithms as containers, and challenges in which they compete with models."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openirp.transport import FREEZING, Transport, within

PUSH = within(7200.0)
TRIED = ("accepted", "refused", "failed")  # states of a container's conformance test
RUN_ENDED = ("succeeded", "failed")
ENTRY_ENDED = ("scored", "failed")


class Containers:
    """Containers that keep the contract of Grand Challenge; methods raise `Problem` on any refusal."""

    def __init__(self, http: Transport) -> None:
        self.http = http

    def push(
        self,
        archive: Path,
        name: str,
        sockets: dict[str, Any],
        *,
        model: Path | None = None,
        reference: str = "",
        licence: str = "",
    ) -> dict[str, Any]:
        """Push an archive of one image; its conformance test follows (`watch`). The same again is the same version.

        Args:
            archive: what `docker save` or `podman save --format oci-archive` wrote.
            name: that the version belongs to.
            sockets: inputs, outputs, labels, frames, limits.
            model: weights as a tar archive, which it finds in /opt/ml/model; None = it brings its own.
            reference: where a cluster pulls the same image from: `registry/name@sha256:...`.
            licence: of the algorithm.
        """
        fields = {"sockets": json.dumps(sockets), "reference": reference, "licence": licence}
        with contextlib.ExitStack() as opened:
            # The files' own names may say too much; and the archive comes last.
            parts = [("model", model)] if model else []
            files = {
                field: (f"{field}.tar", opened.enter_context(file.open("rb")), "application/x-tar")
                for field, file in [*parts, ("archive", archive)]
            }
            path = f"/api/v1/containers/{name}/versions"
            look = "`irp containers list`"
            return dict(self.http.send("POST", path, data=fields, files=files, timeout=PUSH, look=look).json())

    def versions(self, name: str = "") -> list[dict[str, Any]]:
        """In the registry: of one name, or all."""
        return [one for one in self.http.items("/api/v1/containers") if name in ("", one["name"])]

    def get(self, name: str, version: int) -> dict[str, Any]:
        """One version with the report of its conformance test."""
        return dict(self.http.json("GET", f"/api/v1/containers/{name}/versions/{version}"))

    def watch(self, name: str, version: int) -> Iterator[dict[str, Any]]:
        """The same, each second, until it has been tried."""
        return self.http.watch(f"/api/v1/containers/{name}/versions/{version}", TRIED)

    def promote(self, name: str, version: int) -> dict[str, Any]:
        """Make a version the one that its bare name means."""
        return dict(self.http.json("POST", f"/api/v1/containers/{name}/versions/{version}/promote", repeat=True))

    def run(self, project: str, container: str, series: str) -> dict[str, Any]:
        """Let a container ("name" or "name@version") propose a mask of a series; the same again is the same run."""
        body = {"container": container, "series": series}
        return dict(self.http.json("POST", f"/api/v1/projects/{project}/container-runs", body, repeat=True))

    def runs(self, project: str) -> list[dict[str, Any]]:
        """Runs of a project, newest last."""
        return [*self.http.items(f"/api/v1/projects/{project}/container-runs")]

    def watch_run(self, project: str, run_id: str) -> Iterator[dict[str, Any]]:
        """A run, each second, until it has ended."""
        return self.http.watch(f"/api/v1/projects/{project}/container-runs/{run_id}", RUN_ENDED)


class Challenges:
    """Challenges on frozen test sets; methods raise `Problem` on any refusal."""

    def __init__(self, http: Transport) -> None:
        self.http, self.path = http, "/api/v1/challenges"

    def create(self, name: str, project: str, structures: list[str], deadline: str, **more: Any) -> dict[str, Any]:
        """Hold a challenge on a project's test set, as it is now.

        Args:
            name: of the challenge.
            project: that you own.
            structures: canonical names.
            deadline: RFC 3339 with its offset.
            more: title, metrics, entries_per_team, sequence_classes.
        """
        body = {"name": name, "project": project, "structures": structures, "deadline": deadline, **more}
        look = "`irp challenges list`"
        return dict(self.http.json("POST", self.path, body, repeat=True, timeout=FREEZING, look=look))

    def all(self) -> list[dict[str, Any]]:
        """Open and closed ones."""
        return [*self.http.items(self.path)]

    def enter(self, challenge: str, kind: str, name: str, version: int) -> dict[str, Any]:
        """Enter a registered "model" or "container"; the same again is the same entry."""
        body = {"kind": kind, "name": name, "version": version}
        return dict(self.http.json("POST", f"{self.path}/{challenge}/entries", body, repeat=True))

    def watch(self, challenge: str, entry_id: str) -> Iterator[dict[str, Any]]:
        """An entry, each second, until it is scored or has failed."""
        return self.http.watch(f"{self.path}/{challenge}/entries/{entry_id}", ENTRY_ENDED)

    def leaderboard(self, challenge: str) -> dict[str, Any]:
        """Places, best first, with means and 95 % intervals."""
        look = f"`irp challenges leaderboard {challenge}`"
        return dict(self.http.json("GET", f"{self.path}/{challenge}/leaderboard", timeout=FREEZING, look=look))

    def promote(self, challenge: str) -> dict[str, Any]:
        """Make the winner the champion of its name: a model if the gate allows, a container at once."""
        return list(self.watch_promotion(challenge))[-1]

    def watch_promotion(self, challenge: str) -> Iterator[dict[str, Any]]:
        """As `promote`; while the gate measures, `state` is "measuring" and `progress` says how far it is."""
        look = "`irp models list` or `irp containers list`"
        return self.http.until_measured(f"{self.path}/{challenge}/promote", look=look)
