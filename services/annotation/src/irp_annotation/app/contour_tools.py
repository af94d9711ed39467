"""Contour tools on the server: interpolate, snap, rasterize."""

from __future__ import annotations

from typing import Any

from irp_kernel.errors import Unimplemented


class ContourTools:
    """Says plainly that the tools are not offered yet."""

    def __init__(self, *_parts: Any) -> None:
        return None

    async def interpolate(self, *_asked: Any) -> Any:
        """Raise Unimplemented."""
        raise Unimplemented("interpolation between contours is not offered yet")

    async def snap(self, *_asked: Any) -> Any:
        """Raise Unimplemented."""
        raise Unimplemented("snapping is not offered yet")

    async def rasterize(self, *_asked: Any) -> Any:
        """Raise Unimplemented."""
        raise Unimplemented("rasterizing without storing is not offered yet")
