"""The `irp` command."""

from openirp.command.app import app

__all__ = ["app"]
