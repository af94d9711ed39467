"""What you learn here: the public face is written down, and changes only on purpose.

After a change that is meant: `IRP_WRITE_SNAPSHOT=1 pytest tests/contract/test_openapi.py`, and read the difference.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

SNAPSHOT = Path(__file__).with_name("openapi.json")
ONLY_DEFAULT_BODY = {"application/problem+json"}


@pytest.fixture(scope="module")
def schema(admin: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = admin.get("/openapi.json").json()
    return found


def test_the_public_face_is_as_it_was(schema: dict[str, Any]) -> None:
    text = json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("IRP_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text(), "the API changed: if it is meant, write the snapshot as the docstring says"


def test_it_is_valid_openapi(schema: dict[str, Any]) -> None:
    validate(schema)


def test_every_operation_says_what_it_is_and_what_it_answers(schema: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in schema["tags"]}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert set(operation["tags"]) <= tags, where
            assert set(operation["responses"]["default"]["content"]) == ONLY_DEFAULT_BODY, where
            good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            for content in good.get("content", {}).values():
                assert content.get("schema") != {"type": "object", "additionalProperties": True}, where


def test_what_others_build_against_is_there(schema: dict[str, Any]) -> None:
    pinned = {
        ("post", "/api/v1/projects"),
        ("post", "/api/v1/projects/{project}/dicom-web/studies"),
        ("get", "/api/v1/projects/{project}/dicom-web/studies"),
        ("get", "/api/v1/projects/{project}/series/{uid}/quality"),
        ("get", "/api/v1/projects/{project}/series/{uid}/volume"),
        ("post", "/api/v1/projects/{project}/series/{uid}/segment"),
        ("post", "/api/v1/projects/{project}/series/{uid}/segmentations"),
        ("get", "/api/v1/projects/{project}/training/runs/{id}/metrics"),
        ("get", "/api/v1/projects/{project}/training/runs/{id}/events"),
        ("post", "/api/v1/models/{name}/versions/{version}/promote"),
        ("post", "/api/v1/models/{name}/rollback"),
        ("get", "/api/v1/projects/{project}/radiomics/features.{form}"),
        ("post", "/api/v1/projects/{project}/clinical/fhir"),
        ("get", "/api/v1/projects/{project}/events"),
        ("get", "/api/v1/audit"),
    }
    offered = {(method, path) for path, item in schema["paths"].items() for method in item}
    assert pinned <= offered


def test_the_page_for_people_needs_nothing_from_elsewhere(admin: httpx.Client, schema: dict[str, Any]) -> None:
    answer = admin.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"<script|(src|href)=\"?https?:|@import|url\(", answer.text)
    for path in schema["paths"]:
        assert path in answer.text
