"""QIDO-RS: ingest finds, the gateway adds where to retrieve what was found."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as pb

from irp_gateway.adapters.dicom_store import ANSWERS, DICOM_JSON
from irp_gateway.adapters.door import Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.errors import QueryNotValid
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

PAGE = 200  # matches of a request that says no limit
MAX_PAGE = 5000
MAX_KEYS = 64  # attributes that one search names
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Accept = Annotated[str, Header()]
FOUND: dict[int | str, dict[str, Any]] = {
    200: {"description": "Matches, [] if there are none; Warning says when there are more", "content": {DICOM_JSON: {}}}
}
_QUERY = [
    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": MAX_PAGE, "default": PAGE}},
    {"name": "offset", "in": "query", "schema": {"type": "integer", "default": 0}},
    {
        "name": "fuzzymatching",
        "in": "query",
        "description": "parts of person names match",
        "schema": {"type": "boolean"},
    },
    {
        "name": "emptyvaluematching",
        "in": "query",
        "description": 'the value "" (two quotation marks) matches attributes without a value: PS3.18 8.3.4.5',
        "schema": {"type": "boolean"},
    },
    {
        "name": "multiplevaluematching",
        "in": "query",
        "description": "values between backslashes are alternatives: PS3.18 8.3.4.6",
        "schema": {"type": "boolean"},
    },
    {"name": "includefield", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    {
        "name": "matches",
        "in": "query",
        "description": "any attribute keyword or 8-digit tag, e.g. Modality=MR; through sequences with dots; lists of"
        " UIDs with commas; ranges of dates and times with -; wildcards * and ?",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    },
]
DESCRIBED: dict[str, Any] = {
    "responses": FOUND,
    "response_class": Response,
    "openapi_extra": {"parameters": _QUERY},
}


@router.get("/studies", summary="QIDO-RS: search for studies", **DESCRIBED)
async def search_studies(request: Request, here: AnyMember, accept: Accept = "*/*") -> Response:
    """PS3.18 section 10.6."""
    return await _search(request, here, accept, "study")


@router.get("/series", summary="QIDO-RS: search for series", **DESCRIBED)
async def search_series(request: Request, here: AnyMember, accept: Accept = "*/*") -> Response:
    """In every study."""
    return await _search(request, here, accept, "series")


@router.get("/instances", summary="QIDO-RS: search for instances", **DESCRIBED)
async def search_instances(request: Request, here: AnyMember, accept: Accept = "*/*") -> Response:
    """In every study."""
    return await _search(request, here, accept, "instance")


@router.get("/studies/{study}/series", summary="QIDO-RS: search for series of a study", **DESCRIBED)
async def search_study_series(study: UidInPath, request: Request, here: AnyMember, accept: Accept = "*/*") -> Response:
    """PS3.18 section 10.6."""
    return await _search(request, here, accept, "series", study)


@router.get("/studies/{study}/instances", summary="QIDO-RS: instances of a study", **DESCRIBED)
async def search_study_instances(
    study: UidInPath, request: Request, here: AnyMember, accept: Accept = "*/*"
) -> Response:
    """PS3.18 section 10.6."""
    return await _search(request, here, accept, "instance", study)


@router.get("/studies/{study}/series/{series}/instances", summary="QIDO-RS: instances of a series", **DESCRIBED)
async def search_series_instances(
    study: UidInPath, series: UidInPath, request: Request, here: AnyMember, accept: Accept = "*/*"
) -> Response:
    """PS3.18 section 10.6."""
    return await _search(request, here, accept, "instance", study, series)


async def _search(
    request: Request, here: Inside, accept: str, level: str, study: str = "", series: str = ""
) -> Response:
    media_type = choose(accept, ANSWERS)
    asked = pb.SearchRequest(project=here.ref, level=level, study_uid=study, series_uid=series, limit=PAGE)
    for key, value in request.query_params.multi_items():
        _add(asked, key, value)
    if len(asked.matches) > MAX_KEYS:
        raise QueryNotValid(f"a search names at most {MAX_KEYS} attributes")
    limit = asked.limit
    asked.limit = limit + 1  # one more tells whether there are more
    answer = await here.ask("ingest", "Search", asked)
    found = [json.loads(text) for text in answer.dicom_json]
    headers = {"Content-Type": media_type}
    if warnings := _warnings(answer.unknown, more=len(found) > limit):
        headers["Warning"] = ", ".join(f'299 openirp "{warning}"' for warning in warnings)
    root = here.address("dicom-web")
    return Response(json.dumps([_with_address(match, level, root) for match in found[:limit]]), headers=headers)


def _add(asked: pb.SearchRequest, key: str, value: str) -> None:
    match key.lower():
        case "limit":
            asked.limit = min(_number(key, value), MAX_PAGE)
        case "offset":
            asked.offset = _number(key, value)
        case "fuzzymatching":
            asked.fuzzy = value.lower() == "true"
        case "emptyvaluematching":
            asked.empty_values = value.lower() == "true"
        case "multiplevaluematching":
            asked.multiple_values = value.lower() == "true"
        case "accept" | "charset":
            pass  # of every transaction: PS3.18 section 8.3.3
        case "includefield":
            asked.include_fields.extend(field for field in value.split(",") if field)
        case _ if not value.isprintable():
            raise QueryNotValid("a value has no control characters")
        case _:
            # The same key twice is a list of UIDs. Source: PS3.18 section 8.3.4.
            asked.matches[key] = f"{asked.matches[key]},{value}" if asked.matches.get(key) else value


def _warnings(unknown: Sequence[str], *, more: bool) -> list[str]:
    """What the caller should know of an answer that is a success."""
    found = ["There are more results: ask again with a larger offset"] if more else []
    names = [name for name in unknown if NAME.fullmatch(name)]  # a header holds nothing but words
    if unknown:
        found.append(f"These are no DICOM attributes and were not matched: {' '.join(names) or 'some parameters'}")
    return found


def _number(key: str, value: str) -> int:
    if not value.isdecimal() or len(value) > 9:
        raise QueryNotValid(f"{key} is a whole number, not negative")
    return int(value)


def _with_address(match: dict[str, Any], level: str, root: str) -> dict[str, Any]:
    """The match with its RetrieveURL (PS3.18 table 10.6.3-3 and following), built from the public address."""
    tags = (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018"))
    path = root
    for name, tag in tags[: ("study", "series", "instance").index(level) + 1]:
        path += f"/{name}/{(match.get(tag, {}).get('Value') or [''])[0]}"
    return {**match, "00081190": {"vr": "UR", "Value": [path]}}
