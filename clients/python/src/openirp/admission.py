"""What a project lets in: keys and signed reports of uploaders, and what waits for a person's word."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from openirp.transport import FREEZING, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentificationKey:
    """What the gateway hands out to an uploader.

    Attributes:
        key: K_site, 32 bytes; secret.
        project, revision, configuration: which rules these are (SHA-256 of the document).
        deidentification, sequences: sections of the configuration.
    """

    key: bytes = field(repr=False)
    project: str
    revision: int
    configuration: str
    deidentification: dict[str, Any]
    sequences: list[dict[str, Any]]


class Admission:
    """The part of a project that uploaders and curators use."""

    http: Transport
    path: str

    def deidentification_key(self) -> DeidentificationKey:
        """What one needs to de-identify for this project before sending; the key is secret. Audited."""
        said = self.http.json("POST", f"{self.path}/deidentification/key", repeat=True)
        return DeidentificationKey(
            key=base64.b64decode(said["key"]),
            project=said["project"],
            revision=said["revision"],
            configuration=said["configuration"],
            deidentification=said["deidentification"],
            sequences=said["sequences"],
        )

    def put_report(self, jws: str) -> str:
        """Send an uploader's signed report; its id goes with the files that it lists."""
        path, headers = f"{self.path}/deidentification/reports", {"Content-Type": "application/jose"}
        answer = self.http.send("POST", path, content=jws, headers=headers, repeat=True)
        return str(answer.json()["id"])

    def reports(self) -> Iterator[dict[str, Any]]:
        """Reports of uploads, oldest first, without single instances."""
        return self.http.items(f"{self.path}/deidentification/reports")

    def report(self, id: str) -> dict[str, Any]:
        """One report: `report` to be read, `jws` to be verified."""
        return dict(self.http.json("GET", f"{self.path}/deidentification/reports/{id}"))

    def report_key(self) -> dict[str, str]:
        """The public key (JWK) that checks reports made by this installation."""
        return dict(self.http.json("GET", f"{self.path}/deidentification/public-key"))

    def quarantine(self, state: str = "waiting") -> list[dict[str, Any]]:
        """Instances that may name somebody, oldest first; of one state, or "all"."""
        return list(self.http.items(f"{self.path}/quarantine", state=state))

    def quarantined(self, id: str) -> dict[str, Any]:
        """One of them."""
        return dict(self.http.json("GET", f"{self.path}/quarantine/{id}"))

    def look(self, id: str, frame: int = 0) -> tuple[bytes, str]:
        """What the person who decides has to look at, and its media type; it may show who the patient is.

        A frame (0 = the middle one) as PNG, the lines of a report, or a document as it is.
        """
        answer = self.http.get(f"{self.path}/quarantine/{id}/preview", accept="*/*", timeout=FREEZING, frame=frame)
        return answer.content, answer.headers.get("content-type", "").partition(";")[0]

    def decide(self, id: str, action: str, regions: list[tuple[int, int, int, int]] | None = None) -> dict[str, Any]:
        """Decide about one: "release", "mask" (with regions: x, y, width, height) or "discard". Final."""
        names = ("x", "y", "width", "height")
        body = {"action": action, "regions": [dict(zip(names, region, strict=True)) for region in regions or []]}
        path = f"{self.path}/quarantine/{id}/decision"
        return dict(self.http.json("POST", path, body, repeat=True, timeout=FREEZING))
