"""What you learn here: documents say what the code does, and their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from irp_chassis.verdicts import RemoteError
from irp_kernel.errors import every_error

ROOT = Path(__file__).parents[2]
OF_THE_DEMO = {f"docs/pictures/{name}.png" for name in ("quality", "segmentation", "training", "heatmap", "report")}
SKIPPED = {".venv", ".tools", ".irp", "out", "node_modules"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents() -> list[Path]:
    return [path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts)]


def dead_links() -> Iterator[tuple[str, str]]:
    for document in documents():
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in LINK.findall(text):
            if not re.match(r"[a-z]+:", target) and not (document.parent / target).exists():
                yield str(document.relative_to(ROOT)), str((document.parent / target).resolve().relative_to(ROOT))


def test_every_error_says_what_to_do() -> None:
    silent = [error.__name__ for error in every_error() if error is not RemoteError and not error.advice()]
    assert silent == []


def test_every_link_leads_somewhere() -> None:
    dead = list(dead_links())
    assert [link for link in dead if link[1] not in OF_THE_DEMO] == []
    if dead:
        pytest.skip(f"pictures that the demo makes are not here yet: {sorted({target for _, target in dead})}")


def test_no_document_names_a_place_of_its_makers() -> None:
    """Documents are for readers elsewhere: no absolute path of a build machine, no unfinished note."""
    pattern = re.compile(r"(?<![\w.])/(?:work|root|home)/|TO" + r"DO|FIX" + "ME")
    found = [str(path.relative_to(ROOT)) for path in documents() if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []
