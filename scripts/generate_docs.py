"""Writes the reference pages from the code: settings, problems, facts, HTTP addresses, the command, and NATS's users.

`--check` writes nothing and fails if a page is out of date. A room without settings.py or errors yet is left out.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import generate_nats_users
import typer
from google.protobuf.descriptor import FieldDescriptor
from irp_chassis.facts import ROOMS, FactKind, every_fact
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import TABLE, RemoteError
from irp_inference.domain.algorithms.parameters import parameters_of
from irp_inference.domain.algorithms.table import METHODS
from irp_kernel.errors import IrpError, every_error
from pydantic import SecretStr
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTE = "<!-- Written by `make docs` from the code: do not edit. -->\n\n"
NOT_IMPORTED = re.compile(r"\.(testing|migrations|main)\b")
NATS_WORDS = {"ack": "acknowledged: it was done before", "retry": "delivered again, with back-off", "park": "parked"}
HTTP_ONLY = {
    "BODY_NOT_VALID": (
        422,
        "The request does not have the expected form",
        "Correct the places listed in `errors`; `/openapi.json` holds the schema.",
    ),
    "METHOD_NOT_ALLOWED": (405, "The address does not take this method", "Use one of the methods in the Allow header."),
}


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    import_every_error()
    found = {
        DOCS / "reference/settings.md": settings_page(),
        DOCS / "reference/facts.md": facts_page(),
        DOCS / "reference/errors.md": errors_page(),
        DOCS / "reference/http.md": http_page(),
        DOCS / "reference/command.md": command_page(),
        DOCS / "reference/algorithms.md": algorithms_page(),
        generate_nats_users.TARGET: generate_nats_users.users_conf(),
    }
    found |= {DOCS / f"problems/{error.reason}.md": problem_page(error) for error in shown_errors()}
    found |= {DOCS / f"problems/{reason}.md": http_problem_page(reason) for reason in HTTP_ONLY}
    return found


def settings_page() -> str:
    """Variables of all rooms, then those of each."""
    text = NOTE + "# Settings\n\nA room reads its settings once, when it starts, from environment variables.\n"
    text += "\n## Every room\n\n"
    text += _table(ServiceSettings, ServiceSettings.model_fields)
    for room in ROOMS:
        if importlib.util.find_spec(f"irp_{room}.settings") is None:
            continue
        settings: type[ServiceSettings] = importlib.import_module(f"irp_{room}.settings").Settings
        shared = ServiceSettings.model_fields
        own = [n for n, f in settings.model_fields.items() if n not in shared or f.default != shared[n].default]
        text += f"\n## {room}\n\n" + (_table(settings, own) if own else "Nothing of its own.\n")
    return text


def _table(settings: type[ServiceSettings], names: Iterable[str]) -> str:
    text = "| variable | default | meaning |\n|---|---|---|\n"
    for name in names:
        field = settings.model_fields[name]
        text += f"| `IRP_{name.upper()}` | {_default(settings, name)} | {_cell(field.description or '')} |\n"
    return text


def _default(settings: type[ServiceSettings], name: str) -> str:
    """The default; where it depends on the machine, how it is computed."""
    computed = _computed(settings).get(name)
    if computed:
        return f"`{computed}`"
    field = settings.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "empty" if isinstance(value, SecretStr) or value in {None, ""} else f"`{value}`"


def _computed(settings: type[ServiceSettings]) -> dict[str, str]:
    """Fields whose default is a call of something else than Path: the same page on every machine."""
    body = ast.parse(textwrap.dedent(inspect.getsource(settings))).body[0]
    assigned = [node for node in ast.walk(body) if isinstance(node, ast.AnnAssign) and node.value is not None]
    return {
        ast.unparse(node.target): ast.unparse(node.value)
        for node in assigned
        if node.value is not None and any(_is_foreign_call(part) for part in ast.walk(node.value))
    }


def _is_foreign_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) not in {"Path", "SecretStr"}


def facts_page() -> str:
    """Every fact: subject, stream, readers, fields."""
    text = NOTE + (
        "# Facts\n\nA fact is something that has happened. The room that owns it writes it to its own stream; the "
        "rooms that are named as readers each have one durable consumer. All of this is derived from the option "
        "`fact` in `proto/irp/<room>/v1/events.proto`.\n\n"
        "| fact | subject | stream | durables | every process hears it |\n"
        "|---|---|---|---|---|\n"
    )
    kinds = sorted(every_fact(), key=lambda kind: kind.message.DESCRIPTOR.full_name)
    for kind in kinds:
        durables = "<br>".join(f"`{kind.durable(room)}`" for room in kind.readers)
        heard = "yes" if kind.broadcast else ""
        link, subject = f"[{_short(kind)}](#{_short(kind).lower()})", f"`{kind.subject}.<{kind.token_field}>`"
        text += f"| {link} | {subject} | `{kind.stream}` | {durables} | {heard} |\n"
    return text + "".join(_fact_section(kind) for kind in kinds)


def _fact_section(kind: FactKind) -> str:
    descriptor = kind.message.DESCRIPTOR
    rows = "".join(f"| `{field.name}` | {_type_of(field)} |\n" for field in descriptor.fields)
    return f"\n## {_short(kind)}\n\nMessage `{descriptor.full_name}`.\n\n| field | type |\n|---|---|\n{rows}"


def _type_of(field: FieldDescriptor) -> str:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields
        return f"map of {_type_of(key)} to {_type_of(value)}"
    name = message.full_name if message is not None else _SCALARS[field.type]
    return f"`{name}`" + (" (repeated)" if field.is_repeated else "")


_SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def _short(kind: FactKind) -> str:
    return str(kind.message.DESCRIPTOR.name)


def http_page() -> str:
    """Every address of the gateway, from the snapshot that the contract tests keep."""
    paths = json.loads((ROOT / "tests/contract/openapi.json").read_text())["paths"]
    text = NOTE + (
        "# HTTP\n\nThe gateway's addresses. A running gateway shows them with their schemas at `/docs`, and for "
        "programs at `/openapi.json`. Everything under `/api` needs `Authorization: Bearer TOKEN`.\n\n"
        "| method | address | what |\n|---|---|---|\n"
    )
    for address, methods in sorted(paths.items()):
        for method, operation in methods.items():
            text += f"| {method.upper()} | `{address}` | {_cell(operation.get('summary', ''))} |\n"
    return text


def command_page() -> str:
    """The `irp` command, as its own help says it."""
    command = typer.main.get_command(importlib.import_module("openirp.command.app").app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="irp", title="The command `irp`")
    return NOTE + re.sub(r"\[/?(bold|italic)\]", "`", text).strip() + "\n"


def import_every_error() -> None:
    """Import the modules in which libraries and rooms define errors, so that the tree is whole."""
    for package in ("irp_kernel", "irp_chassis", "irp_deid", "irp_bundle", *(f"irp_{room}" for room in ROOMS)):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not NOT_IMPORTED.search(module.name):
                importlib.import_module(module.name)


def shown_errors() -> Iterator[type[IrpError]]:
    """The tree without what only stands for an error of another room."""
    seen: set[str] = set()
    for error in every_error():
        if error is not RemoteError and error.reason not in seen:
            seen.add(error.reason)
            yield error


def algorithms_page() -> str:
    """Conventional methods, their marks and parameters."""
    text = NOTE + (
        "# Methods without a model\n\nWhat `algorithm` of `/segment` and of the live door can name. "
        "`GET /api/v1/algorithms` and `irp algorithms` say the same. "
        "How to use them: [Segment by marks](../how-to/interactive.md).\n"
    )
    for name, known in METHODS.items():
        text += f"\n## {name}\n\n{known.finds[:1].upper()}{known.finds[1:]}. Marks: {known.marks}. "
        text += "Also across slices (`volume`).\n\n" if known.across_slices else "In slices only.\n\n"
        text += "| parameter | default | range | meaning |\n|---|---|---|---|\n"
        for one in parameters_of(known.kind).values():
            values = " or ".join(map(str, one.choices)) or f"{one.low:g} to {one.high:g}"
            span = "true or false" if one.kind == "boolean" else values
            text += f"| `{one.name}` | {json.dumps(one.default)} | {span} | {one.text} |\n"
    return text


def errors_page() -> str:
    """The one table, and every reason."""
    text = NOTE + (
        "# Errors\n\nThe domain raises what happened; one table in the chassis decides what each door says.\n\n"
        "| code | gRPC | HTTP | a fact whose handler raised it is |\n|---|---|---|---|\n"
    )
    for code, verdict in TABLE.items():
        text += f"| `{code.value}` | `{verdict.grpc.name}` | {verdict.http} | {NATS_WORDS[verdict.nats.value]} |\n"
    text += "\n| reason | HTTP | code | title | from |\n|---|---|---|---|---|\n"
    for error in sorted(shown_errors(), key=lambda e: e.reason):
        status = error.http_status or TABLE[error.code].http
        link = f"[{error.reason}](../problems/{error.reason}.md)"
        text += f"| {link} | {status} | `{error.code.value}` | {_cell(error.title())} | {_origin(error)} |\n"
    for reason, (status, title, _) in HTTP_ONLY.items():
        text += f"| [{reason}](../problems/{reason}.md) | {status} | `INVALID_ARGUMENT` | {title} | chassis |\n"
    return text


def problem_page(error: type[IrpError]) -> str:
    """What one reason means and what to do."""
    status = error.http_status or TABLE[error.code].http
    retry = f" Retry after {error.retry_after_s:g} s." if error.retry_after_s else ""
    return (
        f"{NOTE}# {error.reason}\n\n**{error.title()}.** HTTP {status}, gRPC `{TABLE[error.code].grpc.name}`, "
        f"raised by {_origin(error)}.\n\n## What to do\n\n{error.advice() or _inherited_advice(error)}{retry}\n"
    )


def http_problem_page(reason: str) -> str:
    """The page of a refusal that only the HTTP door knows."""
    status, title, advice = HTTP_ONLY[reason]
    return f"{NOTE}# {reason}\n\n**{title}.** HTTP {status}, raised by chassis.\n\n## What to do\n\n{advice}\n"


def _inherited_advice(error: type[IrpError]) -> str:
    parents = (parent for parent in inspect.getmro(error)[1:] if issubclass(parent, IrpError))
    return next((parent.advice() for parent in parents if parent.advice()), IrpError.advice())


def _origin(error: type[IrpError]) -> str:
    return error.__module__.split(".")[0].removeprefix("irp_")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def out_of_date(texts: dict[Path, str]) -> list[str]:
    """Generated files that differ from the code, are missing, or belong to nothing any more."""
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    stale += [path for path in DOCS.glob("problems/*.md") if path not in texts]
    return [str(path.relative_to(ROOT)) for path in stale]


def main() -> int:
    """Write every page, or compare them with `--check`."""
    texts = pages()
    if "--check" in sys.argv:
        stale = out_of_date(texts)
        for path in stale:
            print(f"{path} is out of date: run `make docs` and commit it", file=sys.stderr)
        return 1 if stale else 0
    for path in DOCS.glob("problems/*.md"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(texts)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
