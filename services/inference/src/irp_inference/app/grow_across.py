"""A conventional method across the slices of each frame: beside the event loop, bounded, stopped when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from irp_bundle import NoSuchSlice, as_images
from irp_kernel import Volume
from numpy.typing import NDArray

from irp_inference.app.ports import Offload, Ticket
from irp_inference.app.segment_series import Segments, Wish
from irp_inference.app.wall_within import WallWithin
from irp_inference.domain.algorithms.marks import Place, Region, require_usable
from irp_inference.domain.algorithms.stack import MOST_VOXELS, Stack, StackMarks
from irp_inference.domain.algorithms.table import AcrossSlices, Wanted, method_across
from irp_inference.domain.errors import PromptsNotValid, TooMuchToLookAt

LONGEST_S = 30.0  # of one frame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Regions by frame and slice, for every pair of `frames` and `slices`.

    Attributes:
        within: version of the model whose myocardium was looked at; empty = none.
        warnings: as models' answers have them.
    """

    frames: Sequence[int]
    slices: Sequence[int]
    regions: Mapping[Place, Region]
    within: str = ""
    warnings: tuple[str, ...] = ()


class Going:
    """Whether work in a thread is still wanted."""

    def __init__(self, ticket: Ticket, longest_s: float = LONGEST_S) -> None:
        self._ticket, self._until, self._longest_s = ticket, time.monotonic() + longest_s, longest_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._stopped.set()

    def __call__(self) -> None:
        """Before each step.

        Raises:
            CancelledError, DeadlineExceeded: as Ticket.
            TooMuchToLookAt: it takes too long.
        """
        if self._stopped.is_set():
            raise asyncio.CancelledError
        self._ticket.require_wanted()
        if time.monotonic() > self._until:
            raise TooMuchToLookAt(f"the method took longer than {self._longest_s:g} s", limit=self._longest_s)


class GrowAcross:
    """Frames one after the other; each as a stack of all slices, or from the first to the last that was named."""

    def __init__(self, segment: Segments, offload: Offload) -> None:
        self._segment, self._offload = segment, offload

    async def __call__(self, wish: Wish, wanted: Wanted, volume: Volume, ticket: Ticket) -> Found:
        """What the method finds; raises as RunAlgorithm."""
        run = method_across(wanted.name, wanted.parameters)
        frames, slices = tuple(wish.frames) or (0,), _slices(wish, volume)
        _require_usable(wish, frames, slices, volume)
        wall = WallWithin(self._segment, wish, wanted.within_model)
        regions: dict[Place, Region] = {}
        touching = False
        for frame in frames:
            ticket.require_wanted()
            stack = await self._in_thread(run, wish, frame, slices, volume, await wall(frame, slices, ticket), ticket)
            touching = touching or _touches_border(stack)
            regions |= {(frame, number): region for number, region in zip(slices, stack, strict=True)}
        warnings = ("touches-border",) if touching else ()
        return Found(frames=frames, slices=slices, regions=regions, within=wall.model, warnings=warnings)

    async def _in_thread(
        self,
        run: AcrossSlices,
        wish: Wish,
        frame: int,
        slices: range,
        volume: Volume,
        within: Region | None,
        ticket: Ticket,
    ) -> Region:
        marks = {number - slices.start: one for (where, number), one in wish.marks.items() if where == frame}
        pixels = volume.array[frame, slices.start : slices.stop]
        going = Going(ticket)
        find = partial(_find, run, pixels, volume.geometry.spacing_mm, StackMarks(marks), within, going, ticket)
        try:
            return await self._offload(find, ticket, len(slices))
        finally:
            going.stop()  # a thread cannot be cancelled: it looks here


def _find(
    run: AcrossSlices,
    pixels: NDArray[np.generic],
    spacing_mm: tuple[float, float, float],
    marks: StackMarks,
    within: Region | None,
    going: Going,
    ticket: Ticket,
) -> Region:
    with ticket.passing():
        image = as_images(np.asarray(pixels))[:, 0].numpy()
        return run.across(Stack(image=image, spacing_mm=spacing_mm, going=going), marks, within)


def _slices(wish: Wish, volume: Volume) -> range:
    """From the first to the last that was named; all, if none was.

    Raises:
        NoSuchSlice: the image does not have them.
        TooMuchToLookAt: together they have too many voxels.
    """
    count, rows, columns = volume.geometry.shape
    first, last = (min(wish.slices), max(wish.slices)) if wish.slices else (0, count - 1)
    if not 0 <= first <= last < count:
        raise NoSuchSlice(f"the image has {count} slices", slices=count)
    if (last + 1 - first) * rows * columns > MOST_VOXELS:
        raise TooMuchToLookAt(f"at most {MOST_VOXELS} voxels of a frame are looked at", limit=MOST_VOXELS)
    return range(first, last + 1)


def _require_usable(wish: Wish, frames: Sequence[int], slices: range, volume: Volume) -> None:
    if not all(0 <= frame < volume.geometry.frames for frame in frames):
        raise NoSuchSlice(f"the image has {volume.geometry.frames} frames", frames=volume.geometry.frames)
    if wish.marks:
        require_usable(wish.marks, volume.geometry.frames, volume.geometry.shape)
    if any(number not in slices for _, number in wish.marks):
        raise PromptsNotValid(f"a mark lies on a slice that was not named: {slices.start} to {slices.stop - 1}")


def _touches_border(stack: Region) -> bool:
    """Whether a region reaches the border of the image: it has leaked, or is cut off."""
    return bool(stack[:, (0, -1)].any() or stack[..., (0, -1)].any())
