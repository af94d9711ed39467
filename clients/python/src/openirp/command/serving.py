"""`irp models serving|loaded|load|unload`: which version answers, and what is loaded."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import say, table

MIB = 1 << 20
Version = Annotated[str, typer.Argument(help='A number, "candidate", "champion", "previous", or sha256:<digest>.')]
EXAMPLES = """Examples:

irp models serving cine  -  who answers, and how canary and shadow did

irp models serving cine --canary 4:10  -  version 4 answers for a tenth of the series

irp models serving cine --shadow 4:100  -  version 4 computes every answer too, for comparison

irp models serving cine --pin 3  -  version 3 answers, whatever is promoted

irp models serving cine --reset  -  the champion answers alone"""


def register(app: typer.Typer) -> None:
    """Hang the commands below `irp models`."""
    app.command(epilog=EXAMPLES)(serving)
    app.command(epilog="Example:  irp models loaded")(loaded)
    app.command(epilog="Example:  irp models load cine 4")(load)
    app.command(epilog="Example:  irp models unload cine 4")(unload)


def _share(text: str) -> dict[str, Any]:
    """VERSION[:PERCENT] -> what the API takes."""
    version, _, percent = text.partition(":")
    try:
        return {"version": int(version), "percent": float(percent or 100)}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not VERSION:PERCENT, for example 4:10") from None


def serving(
    name: str,
    pin: Annotated[int | None, typer.Option(help="This version answers, whatever is promoted.")] = None,
    canary: Annotated[str | None, typer.Option(help="VERSION:PERCENT of the series it answers for.")] = None,
    shadow: Annotated[str | None, typer.Option(help="VERSION[:PERCENT] that is compared, never answered.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="The champion answers alone.")] = False,
) -> None:
    """Show, or say, which version of a model answers. What is said replaces what was said before."""
    irp = Irp.from_environment()
    said: dict[str, Any] = {"pin": pin, "canary": canary and _share(canary), "shadow": shadow and _share(shadow)}
    said = {key: value for key, value in said.items() if value is not None}
    _show(irp.set_serving(name, **said) if said or reset else irp.serving(name))


def loaded() -> None:
    """Versions that the classification server has loaded, or failed to load."""
    found = Irp.from_environment().loaded_models()
    rows = [
        (
            m["name"],
            m["version"],
            m["role"],
            m["state"] if not m["reason"] else f"{m['state']}: {m['reason']}",
            " ".join(filter(None, (m["engine"], m["device"], m["precision"]))),
            f"{m['memory_bytes'] // MIB} MiB",
            m["users"],
        )
        for m in found
    ]
    table("loaded models", ("name", "version", "role", "state", "engine", "memory", "users"), rows)
    for m in found:
        if m["precision_note"]:
            say(f"{m['name']}@{m['version']} is in {m['precision']}: {m['precision_note']}.")


def load(name: str, version: Version) -> None:
    """Load a version and keep it until it is unloaded; tried anew if it had failed."""
    model = Irp.from_environment().load_model(name, version)
    say(f"{name}@{version} is {model['state']} ({model['engine']} on {model['device']}, {model['precision']}).")


def unload(name: str, version: Version) -> None:
    """Let go of a version; its last user finishes first."""
    Irp.from_environment().unload_model(name, version)
    say(f"{name}@{version} is let go.")


def _show(serving: dict[str, Any]) -> None:
    name, answers = serving["name"], serving["answers"]
    rows = [("champion", serving["champion"], "", answers.get(str(serving["champion"]), 0))]
    if serving["pin"]:
        rows.append(("pin", serving["pin"], "", answers.get(str(serving["pin"]), 0)))
    rows += [
        (role, share["version"], f"{share['percent']:g} %", answers.get(str(share["version"]), 0))
        for role in ("canary", "shadow")
        if (share := serving[role])
    ]
    table(f"who answers for {name}", ("role", "version", "share", "answers"), rows)
    if serving["canary_failures"]:
        say(f"The canary failed {serving['canary_failures']} times: the pin, or else the champion, was asked instead.")
    compared = [
        (c["served"], c["shadow"], s["structure"], s["answers"], f"{s['mean_dice']:.3f}", f"{s['least_dice']:.3f}")
        for c in serving["comparisons"]
        for s in c["structures"]
    ]
    if compared:
        table("shadow beside answer", ("served", "shadow", "structure", "answers", "mean Dice", "least"), compared)
