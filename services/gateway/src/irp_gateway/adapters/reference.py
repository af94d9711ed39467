"""/docs, /problems and the words of /openapi.json: pages that need nothing from the network, and no token."""

from __future__ import annotations

import html
import json
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, PlainTextResponse
from irp_kernel.errors import NotFound, every_error
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.desk import desk_of
from irp_gateway.domain.configuration import Configuration

router = APIRouter(tags=["reference"])

SUMMARY = "International Radiomics Platform: images in, masks, models and evidence out."
TAGS = {
    "projects": "Configuration documents, their revisions, and what happens in a project",
    "members": "Who belongs to a project, and tokens",
    "dicomweb": "STOW-RS, QIDO-RS, WADO-RS and DELETE (DICOM PS3.18)",
    "deidentification": "Keys for uploaders, and signed reports of what was done",
    "quarantine": "Instances that may name somebody, and what a person decides about them",
    "series": "State, geometry and volume of what was uploaded",
    "quality": "What was measured at import, and what readers say",
    "segmentations": "Masks: now, proposed, corrected, reviewed, exported. "
    "While a reader scrolls: WebSocket /api/v1/projects/{project}/live",
    "training": "Runs that learn from accepted masks",
    "models": "The registry",
    "containers": "Algorithms as containers that keep the contract of Grand Challenge, and what they propose",
    "challenges": "A frozen test set, metrics, a deadline, a leaderboard",
    "radiomics": "Features, heat-map, function",
    "clinical": "Values of patients, joined by pseudonym",
    "operations": "Audit log, parked facts, missing objects",
}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


class Problem(BaseModel):
    """An error answer (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/PROJECT_UNKNOWN"], description="address of the problem's page")
    title: str
    status: int
    detail: str = Field(description="the particulars; identifiers, numbers and units only")
    code: str = Field(examples=["NOT_FOUND"])
    reason: str = Field(examples=["PROJECT_UNKNOWN"], description="for programs")
    advice: str = Field(description="what to do")
    trace_id: str = Field(description="to find the request in the logs")


def describe(app: FastAPI) -> None:
    """Give the app its description: bearer token, problems everywhere, the configuration's schema."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(app: FastAPI) -> dict[str, Any]:
    tags = [{"name": name, "description": text} for name, text in TAGS.items()]
    schema = get_openapi(title="OpenIRP", version=app.version, summary=SUMMARY, routes=app.routes, tags=tags)
    components = schema["components"]
    for model in (Problem, Configuration):
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"].update(described.pop("$defs", {}))
        components["schemas"][model.__name__] = described
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"bearer": []}]
    for operations in schema["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            content = {"application/problem+json": {"schema": PROBLEM}}
            operation["responses"]["default"] = {"description": "A problem that says what to do", "content": content}
    return schema


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The API for people: one page, no scripts, nothing from elsewhere."""
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(reference_page(request.app.openapi()), headers=policy)


@router.get("/problems/{reason}", include_in_schema=False)
async def problem(reason: str, request: Request) -> PlainTextResponse:
    """The page that a problem's `type` points to."""
    words = {error.reason: (error.title(), error.advice()) for error in every_error()} | _HTTP_ONLY
    known = words | desk_of(request).problems
    if reason not in known:
        raise NotFound("no such problem was met by this gateway; docs/problems of the sources lists every one")
    title, advice = known[reason]
    return PlainTextResponse(f"{title}\n\n{advice}\n")


_HTTP_ONLY = {
    "BODY_NOT_VALID": (
        "The request does not have the expected form",
        "Correct the places listed in `errors`; /openapi.json holds the schema.",
    ),
    "METHOD_NOT_ALLOWED": ("The address does not take this method", "Use one of the methods in the Allow header."),
}


def reference_page(schema: dict[str, Any]) -> str:
    """A self-contained HTML page of an OpenAPI document."""
    sections = []
    for tag in schema["tags"]:
        operations = [
            _operation(method, path, operation)
            for path, item in schema["paths"].items()
            for method, operation in item.items()
            if tag["name"] in operation.get("tags", [])
        ]
        heading = f"<h2 id={_q(tag['name'])}>{_e(tag['name'])}</h2><p>{_e(tag['description'])}</p>"
        sections.append(heading + "".join(operations))
    models = "".join(_model(name, model) for name, model in sorted(schema["components"]["schemas"].items()))
    menu = " · ".join(f"<a href={_q('#' + tag['name'])}>{_e(tag['name'])}</a>" for tag in schema["tags"])
    return _PAGE.format(
        title=_e(schema["info"]["title"]),
        version=_e(schema["info"]["version"]),
        summary=_e(schema["info"].get("summary", "")),
        menu=menu,
        sections="".join(sections),
        models=models,
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"<p>{_e(operation.get('description', ''))}</p>"]
    rows = [
        (p["name"], p["in"], p.get("description") or json.dumps(p["schema"])) for p in operation.get("parameters", [])
    ]
    bodies = operation.get("requestBody", {}).get("content", {})
    rows += [("body", kind, _names(content.get("schema", {}))) for kind, content in bodies.items()]
    for status, answer in operation["responses"].items():
        for kind, content in (answer.get("content") or {"-": {}}).items():
            rows.append((status, kind, _names(content.get("schema", {})) or answer.get("description", "")))
    cells = "".join("<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    lines.append(f"<table>{cells}</table>")
    name = f"<b>{_e(method.upper())}</b> <code>{_e(path)}</code> {_e(operation.get('summary', ''))}"
    return f"<details><summary>{name}</summary>{''.join(lines)}</details>"


def _model(name: str, model: dict[str, Any]) -> str:
    shown = json.dumps(model, indent=1, ensure_ascii=False)
    return (
        f"<details id={_q('schema-' + name)}><summary><code>{_e(name)}</code></summary><pre>{_e(shown)}</pre></details>"
    )


def _names(schema: dict[str, Any]) -> str:
    """The schema's name, or its kind."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    return " ".join(filter(None, [str(schema.get("type", "")), str(schema.get("format", ""))]))


def _e(text: Any) -> str:
    return html.escape(str(text))


def _q(text: str) -> str:
    return f'"{html.escape(text, quote=True)}"'


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} {version}</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a2b33}}
summary{{cursor:pointer;padding:.25rem 0}}code{{background:#eef3f5;padding:.1rem .3rem;border-radius:3px}}
details details,details p,table,pre{{margin-left:1.2rem}}td{{padding:.1rem .8rem .1rem 0;vertical-align:top}}
pre{{background:#f6f9fa;padding:.6rem;overflow:auto}}h2{{border-bottom:1px solid #cbd8dd;margin-top:2rem}}
</style><h1>{title} <small>{version}</small></h1><p>{summary}</p>
<p>Send <code>Authorization: Bearer TOKEN</code>; <code>irp env</code> prints a development token. Errors are
<code>application/problem+json</code> and say what to do. For programs: <a href="/openapi.json">/openapi.json</a></p>
<p>{menu}</p>{sections}<h2>Schemas</h2>{models}</html>
"""
