"""`irp models approve|reject|history|key|signature|verify`: what the registry remembers and signs."""

from __future__ import annotations

import hashlib
import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer
from irp_kernel.errors import IrpError
from irp_kernel.model_statement import read_statement

from openirp.client import Irp
from openirp.command.console import not_valid, print_json, say, table
from openirp.command.images import AsJson
from openirp.command.serving import Version
from openirp.command.verdict import show_verdict

MAX_TEXT_BYTES = 1 << 20  # of a signature or a key file
PIECE = 1 << 20  # bytes that are hashed at once

Because = Annotated[str, typer.Option("--because", help="Why, for the history; no patient data.")]


def register(app: typer.Typer) -> None:
    """Hang the commands below `irp models`."""
    app.command(epilog="Example:  irp models approve cine candidate --because 'looked at every case'")(approve)
    app.command(epilog="Example:  irp models reject cine 4 --because 'the apex is wrong'")(reject)
    app.command(
        epilog="Examples:  irp models history cine  ·  irp models history cine --at 2026-01-31T12:00:00Z  ·  "
        "irp models history cine --gate 4"
    )(history)
    app.command(epilog="Example:  irp models key > registry-keys.json")(key)
    app.command(epilog="Example:  irp models signature cine champion > cine.signature.json")(signature)
    app.command(
        epilog="Example:  irp models verify cine-4.zip --signature cine.signature.json --key registry-keys.json"
    )(verify)


def approve(name: str, version: Version, because: Because = "") -> None:
    """Agree to a promotion that another person asked for."""
    model = Irp.from_environment().decide_promotion(name, version, approve=True, reason=because)
    say(f"{name}@{model['version']} is the champion.")


def reject(name: str, version: Version, because: Because = "") -> None:
    """Refuse a promotion that waits; the champion stays."""
    model = Irp.from_environment().decide_promotion(name, version, approve=False, reason=because)
    say(f"{name}@{model['version']} does not become the champion.")


def history(
    name: str,
    at: Annotated[str, typer.Option(help="Up to this time, and what served then (RFC 3339).")] = "",
    gate: Annotated[int, typer.Option(help="Show the gate's last verdict on this version.")] = 0,
    json: AsJson = False,
) -> None:
    """Everything that happened to a model, oldest first, and which version served: pinned, champion, canary."""
    irp = Irp.from_environment()
    found, said = list(irp.model_history(name, at)), irp.model_serving_at(name, at)
    if json:
        print_json({"name": name, "at": at or None, **said, "items": found})
        return
    columns = ("when", "what", "version", "before", "who", "why")
    table(f"{name}: {len(found)} entries", columns, [_line(one) for one in found])
    if gate and (verdicts := [one for one in found if one["version"] == gate and one["gate"]]):
        show_verdict(f"{name}@{gate}: {verdicts[-1]['reason']}", verdicts[-1]["gate"])
    when = f"At {at}" if at else "Now"
    say(f"{when}: {_served(name, said)}.")


def key() -> None:
    """The public keys that check signatures; keep them beside exported models."""
    print_json(Irp.from_environment().model_keys())


def signature(name: str, version: Version) -> None:
    """Where a version comes from, signed by the registry, as JSON."""
    print_json(Irp.from_environment().model_signature(name, version))


def verify(
    bundle: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The bundle (ZIP).")],
    signature: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="What `irp models signature` printed, or a JWS.")
    ],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `irp models key` printed.")],
) -> None:
    """Check that a bundle is what its registry signed; needs no network. Exit code 1 if not."""
    said, keys = text_of(signature), keys_of(text_of(key))
    token = str(_json(said).get("jws", "")) if said.lstrip().startswith("{") else said.strip()
    try:
        about = read_statement(token, keys, sha256=_digest(bundle))
    except IrpError as error:
        not_valid(f"{error.title()}: {error.message}")
        raise typer.Exit(1) from None
    run = f"run {about['run']['id']} of {about['run']['project']}" if about.get("run") else "pushed"
    say(
        f"Valid. {about['name']}@{about['version']}, {about.get('created_at', '')}, by {about.get('actor', '')}: "
        f"{run}, dataset {str(about.get('dataset', {}).get('sha256', ''))[:12] or 'not known'}."
    )


def _served(name: str, said: dict[str, Any]) -> str:
    """`cine@3 (pinned; champion 4), canary 5 for 10 % of the series`."""
    words = [f"{name}@{said['served']}" if said["served"] else "no champion"]
    if said["pin"]:
        words[0] += f" (pinned; champion {said['champion'] or 'none'})"
    shares = [(role, said[role]) for role in ("canary", "shadow") if said[role]]
    return ", ".join(words + [f"{role} {of['version']} for {of['percent']:g} % of the series" for role, of in shares])


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    return (str(one["at"])[:19], one["kind"], one["version"], one["before"], one["actor"], one["reason"])


def keys_of(text: str) -> list[dict[str, Any]]:
    """A JSON Web Key Set, or one key."""
    document = _json(text)
    found = document.get("keys", [document])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _json(text: str) -> dict[str, Any]:
    try:
        found = json_.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter("the file is not the JSON that is asked for")
    return found


def text_of(file: Path) -> str:
    """A small text file."""
    if file.stat().st_size > MAX_TEXT_BYTES:
        raise typer.BadParameter(f"the file has more than {MAX_TEXT_BYTES} bytes")
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter("the file is not text") from None


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as pieces:
        while piece := pieces.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
