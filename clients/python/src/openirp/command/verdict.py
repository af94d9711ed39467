"""The gate's verdict, for people: the figures it compared, and what it says of them."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from openirp.command.console import say, table


def show_verdict(title: str, gate: dict[str, Any]) -> None:
    """Tables of structures, subgroups and further checks, as far as the verdict has them; then its warnings."""
    _structures(title, gate.get("comparisons", []), gate.get("margin"))
    _subgroups(gate.get("subgroups", []))
    _checks(gate.get("checks", []))
    for warning in gate.get("warnings", []):
        say(Text.assemble(("Note:", "yellow"), f" {warning}"))


def _structures(title: str, found: list[dict[str, Any]], margin: float | None) -> None:
    columns = ("structure", "patients", "candidate", "champion", "difference", "at least (95 %)", "by", "")
    rows = [
        (
            one["structure"],
            one.get("patients") or one["cases"],
            one["candidate"],
            one["champion"],
            f"{one['difference']:+.4f}",
            _signed(one.get("lower")),
            one.get("rule", "mean"),
            _word(one["passed"]),
        )
        for one in found
    ]
    if rows:
        table(f"{title}: Dice, allowed loss {margin:g}" if margin is not None else title, columns, rows)


def _subgroups(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["attribute"],
            one["value"],
            one["structure"],
            one["patients"],
            one["candidate"],
            one["champion"],
            f"{one['difference']:+.4f}",
            "shown only" if one["bound"] is None else _word(one["passed"]),
        )
        for one in found
    ]
    if rows:
        columns = ("subgroup", "", "structure", "patients", "candidate", "champion", "difference", "")
        table("Subgroups", columns, rows)


def _checks(found: list[dict[str, Any]]) -> None:
    rows = [
        (one["name"], one["candidate"], one["champion"], one["change"], one["bound"], _word(one["passed"]))
        for one in found
    ]
    if rows:
        table("Checks", ("check", "candidate", "champion", "change", "bound", ""), rows)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _word(passed: bool) -> str:
    return "passed" if passed else "refused"
