"""The classification server."""
