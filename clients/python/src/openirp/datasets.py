"""A project's frozen datasets."""

from __future__ import annotations

from typing import Any

from openirp.transport import FREEZING, Transport


class Datasets:
    """Immutable snapshots of accepted masks; methods raise `Problem` on any refusal."""

    def __init__(self, http: Transport, project_path: str) -> None:
        self._http, self._path = http, f"{project_path}/datasets"

    def list(self) -> list[dict[str, Any]]:
        """Every one, newest last."""
        return list(self._http.items(self._path))

    def freeze(self, **rules: Any) -> dict[str, Any]:
        """Freeze what is accepted now; the same rules on the same facts are the same dataset.

        Args:
            rules: `sequence_classes`, `verdicts`, `least_certainty`, `structures`, `sites`; what is left out lets
                everything in but series that quality calls unusable.
        """
        body, look = {"rules": rules}, "`irp datasets list`"
        return dict(self._http.json("POST", self._path, body, repeat=True, timeout=FREEZING, look=look))

    def get(self, digest: str) -> dict[str, Any]:
        """One with its composition; `digest` or at least 8 digits that begin it."""
        return dict(self._http.json("GET", f"{self._path}/{digest}"))

    def sheet(self, digest: str) -> str:
        """Its data sheet, as Markdown."""
        return self._http.get(f"{self._path}/{digest}/sheet", accept="text/markdown").text
