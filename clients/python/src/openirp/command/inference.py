"""`irp inference`: other people's clients at the classification server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from openirp.client import Irp

app = typer.Typer(no_args_is_help=True, help="The classification server, for clients of the Open Inference Protocol.")


@app.callback()
def _group() -> None:
    """Keep `token` a command of its own."""


@app.command(
    epilog='Examples:  export OIP_TOKEN="$(irp inference token)"  ·  irp inference token --hours 12 --json  ·  '
    'grpcurl -plaintext -H "authorization: Bearer $(irp inference token)" $IRP_OIP_ADDRESS '
    "inference.GRPCInferenceService/ServerMetadata"
)
def token(
    project: Annotated[str, typer.Option("-p", "--project", help="Whose turn at the networks it takes.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=12, help="Until it expires.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="With its end and the addresses that take it.")] = False,
) -> None:
    """Print a token for tritonclient and its kin: tensors in, logits out."""
    answer = Irp.from_environment().inference_token(project, hours)
    typer.echo(json.dumps(answer, indent=2) if as_json else answer["token"])
