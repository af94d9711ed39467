"""STOW-RS bodies: several DICOM files in one request. Source: PS3.18 10.5."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DICOM = "application/dicom"
_RUN = re.compile(r"(\d{1,6})([sar])\b")
QUARANTINED = "QUARANTINED"  # not stored yet: a person has to look at it
_REASONS = {
    0x0110: "processing failure",
    0x0122: "this kind of object is not taken here",
    0xA700: "out of resources",
    0xA900: "the file's content does not fit its kind",
    0xC000: "it cannot be understood",
}


def multipart(files: Iterable[bytes]) -> tuple[list[bytes], dict[str, str]]:
    """(pieces of the body, headers) of one request; the files themselves are not copied."""
    boundary = secrets.token_hex(16)
    begin = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()
    pieces = [piece for file in files for piece in (begin, file, b"\r\n")] + [f"--{boundary}--\r\n".encode()]
    media_type = f'multipart/related; type="{DICOM}"; boundary={boundary}'
    return pieces, {"Content-Type": media_type, "Content-Length": str(sum(map(len, pieces)))}


@dataclass(frozen=True, slots=True)
class StowAnswer:
    """What the gateway answered to one request.

    Attributes:
        body: PS3.18's answer as DICOM JSON.
        report: id of the signed report of the upload; empty if the gateway told none.
        fates: one letter per file in the order sent: s stored, a already stored, r refused.
    """

    body: dict[str, Any]
    report: str = ""
    fates: str = ""

    @classmethod
    def of(cls, body: dict[str, Any], headers: Mapping[str, str]) -> StowAnswer:
        """From body and headers; without the header, stored files count as the first ones."""
        said = "".join(int(run) * fate for run, fate in _RUN.findall(headers.get("x-irp-outcomes", "")))
        guess = "s" * len(stored_series(body)) + "r" * len(refusals(body))
        return cls(body, headers.get("x-irp-report", ""), said or guess)

    @property
    def series(self) -> list[str]:
        """New SeriesInstanceUID of each stored file, in the order sent."""
        return stored_series(self.body)

    @property
    def refusals(self) -> list[str]:
        """Reason of each refused file, in the order sent."""
        return refusals(self.body)


def stored_series(answer: dict[str, Any]) -> list[str]:
    """SeriesInstanceUID of each stored instance, from the RetrieveURLs of STOW's answer."""
    found = []
    for item in answer.get("00081199", {}).get("Value", []):
        url = str((item.get("00081190", {}).get("Value") or [""])[0])
        found.append(url.partition("/series/")[2].partition("/")[0])
    return found


def refusals(answer: dict[str, Any]) -> list[str]:
    """Why instances were refused, in words; one per instance."""
    return [_reason(item) for item in answer.get("00081198", {}).get("Value", [])]


def _reason(item: dict[str, Any]) -> str:
    if said := (item.get("00000902", {}).get("Value") or [""])[0]:
        return str(said)  # the reason of the error tree: /problems tells what to do about it
    code = int((item.get("00081197", {}).get("Value") or [0])[0])
    return _REASONS.get(code) or _REASONS.get(code & 0xFF00) or f"failure reason {code:#06x}"
