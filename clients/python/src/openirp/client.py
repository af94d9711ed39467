"""The gateway, as one object: projects, the model registry, and what an operator asks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from openirp.containers import Challenges, Containers
from openirp.problem import Problem
from openirp.project import Project
from openirp.transport import FREEZING, GATE, Transport, within

ZIP = "application/zip"
ENDED = ("ended", "failed")  # states of a report
JUDGED = ("accepted", "refused", "failed")  # states of a reduced precision
VALIDATED = ("succeeded", "failed")
VERIFYING = within(24 * 3600.0)


class Irp:
    """A gateway.

    Args:
        url: its address.
        token: bearer token.
        app: an httpx transport instead of the network, for tests.

    Example:
        irp = Irp.from_environment()
        for project in irp.projects(): print(project["name"])
    """

    def __init__(self, url: str, token: str, app: httpx.BaseTransport | None = None) -> None:
        self.http = Transport(url, token, app)

    @classmethod
    def from_environment(cls) -> Irp:
        """`IRP_URL` and `IRP_TOKEN`, else the house in `IRP_HOME` (default `.irp`).

        Raises:
            Problem: neither is there.
        """
        if url := os.environ.get("IRP_URL"):
            return cls(url, os.environ.get("IRP_TOKEN", ""))
        home = Path(os.environ.get("IRP_HOME") or ".irp")
        try:
            port = json.loads((home / "run" / "ports.json").read_text())["gateway"]
            return cls(f"http://127.0.0.1:{port}", (home / "keys" / "token").read_text().strip())
        except (OSError, ValueError, KeyError):
            advice = 'Start one with `irp up --detach`, or `eval "$(irp env)"`, or set IRP_URL and IRP_TOKEN.'
            title = f"IRP_URL is not set and there is no house in {home}"
            raise Problem(0, {"reason": "NO_HOUSE", "title": title, "advice": advice}) from None

    @property
    def containers(self) -> Containers:
        """Algorithms as containers."""
        return Containers(self.http)

    @property
    def challenges(self) -> Challenges:
        """Challenges on frozen test sets."""
        return Challenges(self.http)

    def close(self) -> None:
        """Give the connections back."""
        self.http.close()

    def projects(self) -> list[dict[str, Any]]:
        """The projects you are a member of."""
        return list(self.http.items("/api/v1/projects"))

    def project(self, name: str) -> Project:
        """A project by id; nothing is asked yet."""
        return Project(self.http, name)

    def create_project(self, configuration: dict[str, Any]) -> Project:
        """Create a project from its configuration document.

        Raises:
            Problem: 409 it exists; 422 the document does not validate.
        """
        made = self.http.json("POST", "/api/v1/projects", configuration)
        return Project(self.http, str(made["name"]))

    def models(self, name: str | None = None) -> list[dict[str, Any]]:
        """Model versions in the registry."""
        return list(self.http.items("/api/v1/models", name=name))

    def push_model(self, bundle: bytes, name: str, *, project: str = "") -> dict[str, Any]:
        """Register a MONAI bundle (ZIP) as a new version; the first of its name becomes the champion.

        Args:
            bundle: the archive.
            name: of the model.
            project: judge it on this project's accepted masks; empty = on the model's frozen validation set, if any.

        Raises:
            Problem: the bundle is not taken; the problem says why, `try_model` how far it came.
        """
        return self._sent(f"/api/v1/models/{name}/versions" + (f"?project={project}" if project else ""), bundle)

    def try_model(self, bundle: bytes) -> dict[str, Any]:
        """What a push would say of a bundle; nothing is registered."""
        return self._sent("/api/v1/models/try", bundle)

    def report(self, name: str, version: int | str) -> dict[str, Any]:
        """What was found of a version: checks of its bundle, Dice beside the champion's; or how far that is."""
        return dict(self.http.json("GET", f"/api/v1/models/{name}/versions/{version}/report"))

    def ask_report(self, name: str, version: int | str, *, project: str = "") -> dict[str, Any]:
        """Have a version judged, on a project's accepted masks or on the model's frozen validation set."""
        path, look = f"/api/v1/models/{name}/versions/{version}/report", f"`irp models report {name}@{version}`"
        return dict(self.http.json("POST", path, {"project": project}, timeout=FREEZING, look=look))

    def watch_report(self, name: str, version: int | str) -> Iterator[dict[str, Any]]:
        """The report, each second, until it has ended."""
        return self.http.watch(f"/api/v1/models/{name}/versions/{version}/report", ENDED)

    def _sent(self, path: str, bundle: bytes) -> dict[str, Any]:
        headers = {"Content-Type": ZIP}
        look = "`irp models list`"
        answer = self.http.send("POST", path, content=bundle, headers=headers, timeout=GATE, repeat=True, look=look)
        return dict(answer.json())

    def bundle(self, name: str, version: int | str) -> bytes:
        """A version as a MONAI bundle (ZIP)."""
        return self.http.get(f"/api/v1/models/{name}/versions/{version}/bundle", accept=ZIP).content

    def promote_model(self, name: str, version: int | str) -> dict[str, Any]:
        """Make a version the champion, if the gate allows; `state` is "pending" where a second person has to agree.

        Waits while the gate measures, which takes seconds for each patient of the validation set.
        """
        return list(self.watch_promotion(name, version))[-1]

    def watch_promotion(self, name: str, version: int | str) -> Iterator[dict[str, Any]]:
        """As `promote_model`; while the gate measures, `state` is "measuring" and `progress` says how far it is."""

        def path(version: int | str) -> str:
            return f"/api/v1/models/{name}/versions/{version}/promote"

        # An alias may name another version by then: from the first answer on, that one is meant.
        look = f"`irp models history {name}`"
        return self.http.until_measured(path(version), lambda said: path(said["version"]), look=look)

    def decide_promotion(self, name: str, version: int | str, *, approve: bool, reason: str = "") -> dict[str, Any]:
        """Approve or reject a promotion that somebody else asked for."""
        word = "approve" if approve else "reject"
        path = f"/api/v1/models/{name}/versions/{version}/{word}"
        return dict(self.http.json("POST", path, params={"reason": reason}))

    def rollback_model(self, name: str, reason: str = "") -> dict[str, Any]:
        """Make the previous champion the champion again."""
        return dict(self.http.json("POST", f"/api/v1/models/{name}/rollback", params={"reason": reason}))

    def model_history(self, name: str, at: str = "") -> Iterator[dict[str, Any]]:
        """What happened to a model, oldest first, up to a time (RFC 3339; empty = now)."""
        return self.http.items(f"/api/v1/models/{name}/history", at=at)

    def served_model(self, name: str, at: str = "") -> int | None:
        """Version that answered at a time, pinned or champion; empty = now."""
        return self.model_serving_at(name, at)["served"]  # type: ignore[no-any-return]

    def model_serving_at(self, name: str, at: str = "") -> dict[str, Any]:
        """What answered at a time (empty = now): `served`, `champion`, `pin`, `canary`, `shadow`."""
        answer = self.http.get(f"/api/v1/models/{name}/history", at=at, limit="1").json()
        return {key: answer[key] for key in ("served", "champion", "pin", "canary", "shadow")}

    def model_keys(self) -> dict[str, Any]:
        """Public keys that check the signatures of versions (a JSON Web Key Set)."""
        return dict(self.http.json("GET", "/api/v1/models/keys"))

    def model_signature(self, name: str, version: int | str) -> dict[str, Any]:
        """Where a version comes from, signed: `jws` and, readable, `statement`."""
        return dict(self.http.json("GET", f"/api/v1/models/{name}/versions/{version}/signature"))

    def try_precision(self, name: str, version: int | str, precision: str, *, project: str = "") -> dict[str, Any]:
        """Let the guard try a reduced precision ("int8", "bfloat16"); what is known already is answered as it is.

        Args:
            name: of the model.
            version: of the model.
            precision: "int8" or "bfloat16".
            project: judge on this project's accepted masks; empty = on the frozen validation set of the version's run.
        """
        path, body = f"/api/v1/models/{name}/versions/{version}/precisions", {"precision": precision}
        look = f"`irp models precision {name}@{version} {precision}`"
        body |= {"project": project} if project else {}
        return dict(self.http.json("POST", path, body, timeout=FREEZING, look=look))

    def precision(self, name: str, version: int | str, precision: str) -> dict[str, Any]:
        """How a reduced precision was judged, or how far that is."""
        return dict(self.http.json("GET", f"/api/v1/models/{name}/versions/{version}/precisions/{precision}"))

    def watch_precision(self, name: str, version: int | str, precision: str) -> Iterator[dict[str, Any]]:
        """The same, each second, until it is judged."""
        return self.http.watch(f"/api/v1/models/{name}/versions/{version}/precisions/{precision}", JUDGED)

    def validate_model(
        self, name: str, version: int | str, *, project: str = "", dataset: str = "", split: str = ""
    ) -> dict[str, Any]:
        """Validate a version; the same question again is answered as it is.

        Args:
            name: of the model.
            version: of the model.
            project: its accepted masks judge; empty = the frozen dataset of the version's run.
            dataset: that the project froze before, by its digest; empty = its masks are frozen now.
            split: "test" or "validation"; empty = "test" where there is somebody in it.
        """
        body = {"project": project, "dataset": dataset, "split": split}
        path, look = f"/api/v1/models/{name}/versions/{version}/validate", f"`irp models validate {name}@{version}`"
        return dict(self.http.json("POST", path, body, repeat=True, timeout=FREEZING, look=look))

    def validation(self, name: str, version: int | str, id: str) -> dict[str, Any]:
        """How far a validation is, what it found, and the files of its report."""
        return dict(self.http.json("GET", f"/api/v1/models/{name}/versions/{version}/validations/{id}"))

    def watch_validation(self, name: str, version: int | str, id: str) -> Iterator[dict[str, Any]]:
        """The same, each second, until it has ended."""
        return self.http.watch(f"/api/v1/models/{name}/versions/{version}/validations/{id}", VALIDATED)

    def validation_file(self, name: str, version: int | str, id: str, file: str) -> bytes:
        """One file of a report: "report.json", "report.html", "report.pdf" or "signature.jws"."""
        path = f"/api/v1/models/{name}/versions/{version}/validations/{id}/{file}"
        return self.http.get(path, accept="*/*").content

    def drift(self, name: str) -> list[dict[str, Any]]:
        """Whether a model's proposals are corrected more than before: over all patients, by site, by scanner."""
        return list(self.http.json("GET", f"/api/v1/models/{name}/drift"))

    def inference_token(self, project: str = "", hours: int = 1) -> dict[str, Any]:
        """A token for the Open Inference Protocol, when it expires, and the addresses that take it."""
        return dict(self.http.json("POST", "/api/v1/inference/token", {"project": project, "hours": hours}))

    def algorithms(self) -> list[dict[str, Any]]:
        """Conventional methods for `Project.segment(algorithm=...)`, with marks, parameters, defaults and ranges."""
        return list(self.http.json("GET", "/api/v1/algorithms"))

    def loaded_models(self) -> list[dict[str, Any]]:
        """Versions that the classification server has loaded, or failed to load."""
        return list(self.http.json("GET", "/api/v1/models/loaded"))

    def serving(self, name: str) -> dict[str, Any]:
        """Which version of a model answers, with the canary's and the shadow's figures."""
        return dict(self.http.json("GET", f"/api/v1/models/{name}/serving"))

    def set_serving(self, name: str, **said: Any) -> dict[str, Any]:
        """Say which version answers: pin=2, canary={"version": 3, "percent": 10}, shadow likewise; nothing resets."""
        return dict(self.http.json("PUT", f"/api/v1/models/{name}/serving", said))

    def load_model(self, name: str, version: int | str) -> dict[str, Any]:
        """Load a version and keep it; answered when it is warm."""
        path, look = f"/api/v1/models/{name}/versions/{version}/load", "`irp models loaded`"
        return dict(self.http.json("POST", path, repeat=True, timeout=GATE, look=look))

    def unload_model(self, name: str, version: int | str) -> None:
        """Let go of a version; its last user finishes first."""
        self.http.send("POST", f"/api/v1/models/{name}/versions/{version}/unload", repeat=True)

    def parked(self) -> list[dict[str, Any]]:
        """Facts that rooms put aside, of every room."""
        return list(self.http.items("/api/v1/parked"))

    def replay_parked(self, message_id: str = "", room: str = "") -> dict[str, int]:
        """Hand parked facts to their handlers again: one, those of a room, or all; the number per room."""
        params = {"message_id": message_id, "room": room}
        return dict(self.http.json("POST", "/api/v1/parked/replay", params=params))

    def verify(self, *, read: bool = False) -> Iterator[dict[str, Any]]:
        """Objects that rows refer to and the store does not hold; then one line per room with the number looked at."""
        accept = "application/x-ndjson"
        answer = self.http.get("/api/v1/verify", accept=accept, timeout=VERIFYING, read=str(read).lower())
        for line in answer.text.splitlines():
            yield json.loads(line)
