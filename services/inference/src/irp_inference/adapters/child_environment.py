"""What a process that opens files from outside is told of the room: no setting, for secrets are among them."""

from __future__ import annotations

import os


def child_environment() -> dict[str, str]:
    """The environment without IRP_... and without what names a credential."""
    return {name: value for name, value in os.environ.items() if not _is_private(name.upper())}


def _is_private(name: str) -> bool:
    return name.startswith(("IRP_", "AWS_", "PG")) or any(
        word in name for word in ("SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
    )
