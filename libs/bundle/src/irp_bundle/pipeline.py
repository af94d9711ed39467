"""The two-stage pipeline, declared by the bundle and run here: locate, crop, segment, tidy, back onto the image's grid.

The window comes from the volume alone, never from which slices were asked for: one slice now and the whole series
later give the same labels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from irp_kernel import LabelTable, Mask, Volume
from numpy.typing import NDArray

from irp_bundle.box import Found, agree
from irp_bundle.bundle import Bundle, Stage
from irp_bundle.errors import BundleNotValid, ImageNotUsable
from irp_bundle.post import tidy
from irp_bundle.window import Window, cut, normalise, paste, whole

Engine = Callable[[Stage, NDArray[np.float32]], NDArray[np.float32]]  # (N, 1, H, W) -> logits (N, C, H, W)
BATCH = 16  # slices per pass: more is no faster on two cores
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """`irp_pipeline` of a bundle.

    Attributes:
        locate_size: pixels of the whole slice's grid.
        locate_frames: frames on which the ventricle is looked for.
        segment_size: pixels of the window's grid.
        margin: side of the window over side of the box.
        tidy: whether labels are tidied.
    """

    locate_size: int = 128
    locate_frames: int = 3
    segment_size: int = 128
    margin: float = 1.6
    tidy: bool = True

    @classmethod
    def of(cls, bundle: Bundle) -> Declared:
        """Read it; unknown keys are refused, for they would be silently ignored."""
        found = dict(bundle.pipeline)
        known = {field.name: type(field.default) for field in fields(cls)}
        if set(found) - set(known):
            raise BundleNotValid(f"irp_pipeline knows {', '.join(known)}")
        try:
            read: dict[str, Any] = {name: known[name](value) for name, value in found.items()}
            declared = cls(**read)
        except (TypeError, ValueError):
            raise BundleNotValid("irp_pipeline holds a value of another kind") from None
        sizes = (declared.locate_size, declared.segment_size)
        if not (all(16 <= size <= 1024 for size in sizes) and 1 <= declared.margin <= 8 and declared.locate_frames > 0):
            raise BundleNotValid("irp_pipeline: sizes are 16 to 1024 pixels, the margin 1 to 8")
        return declared


@dataclass(slots=True)
class Report:
    """How an answer came to be: stage -> milliseconds, and what the stages found."""

    timings_ms: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.perf_counter()
        yield
        self.timings_ms[name] = self.timings_ms.get(name, 0.0) + (time.perf_counter() - began) * 1000


class Pipeline:
    """One bundle's pipeline on one engine."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._engine = engine
        self.declared = Declared.of(bundle)
        self.structures = bundle.structures
        self._two_stages = bundle.locate is not None
        self.table = LabelTable.canonical(self.structures)
        self._values = np.array([0, *self.table.values], dtype=np.uint8)

    def locate(self, volume: Volume) -> Found:
        """The square around the left ventricle; depends on the volume alone.

        Raises:
            ImageNotUsable: not finite.
        """
        _require_finite(volume.array)
        _, slices, rows, columns = volume.array.shape
        if not self._two_stages:
            return Found(whole(rows, columns), slices)
        frames = np.unique(np.linspace(0, volume.frames, self.declared.locate_frames, endpoint=False).astype(int))
        images = torch.from_numpy(volume.array[frames].astype(np.float32).reshape(-1, rows, columns))
        seen = self._pass("locate", cut(images, whole(rows, columns), self.declared.locate_size))
        return agree(seen.argmax(1).numpy() > 0 if seen.shape[1] > 1 else seen[:, 0].numpy() > 0, rows, columns)

    def run(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        found: Found | None = None,
        progress: Progress | None = None,
    ) -> tuple[Mask, Report]:
        """Segment frames and slices of a volume.

        Args:
            volume: the image.
            frames: time points; None or empty = all.
            slices: slice indices; None or empty = all.
            found: the answer of `locate` for this volume, if it is known already.
            progress: is told the fraction done.

        Returns:
            A mask on the volume's grid, annotated where asked, and how it came to be.

        Raises:
            ImageNotUsable: not finite, or indices outside.
        """
        times, places = _asked(frames, volume.frames), _asked(slices, volume.geometry.shape[0])
        report = Report()
        with report.stage("locate"):
            found = found or self.locate(volume)
        window = Window(row=found.window.row, column=found.window.column, side=found.window.side * self._margin)
        report.parameters = _describe(found)
        labels = np.zeros(volume.geometry.array_shape, dtype=np.uint8)
        wanted = [(t, s) for t in times for s in places]
        for at in range(0, len(wanted), BATCH):
            part = wanted[at : at + BATCH]
            self._segment(volume, part, window, labels, report)
            if progress:
                progress((at + len(part)) / len(wanted))
        annotated = np.zeros((*labels.shape[:2], len(self.structures)), dtype=np.bool_)
        annotated[np.ix_(times, places)] = True
        return Mask(geometry=volume.geometry, labels=labels, table=self.table, annotated=annotated), report

    @property
    def _margin(self) -> float:
        return self.declared.margin if self._two_stages else 1.0

    def _segment(
        self, volume: Volume, part: list[tuple[int, int]], window: Window, labels: NDArray[np.uint8], report: Report
    ) -> None:
        times, places = zip(*part, strict=True)
        rows, columns = volume.geometry.shape[1:]
        with report.stage("segment"):
            images = torch.from_numpy(volume.array[times, places].astype(np.float32))
            _require_finite(images.numpy())
            logits = self._pass("segment", cut(images, window, self.declared.segment_size))
        with report.stage("post"):
            pasted, patch = paste(logits, window, rows, columns)
            drawn = pasted.argmax(1).numpy().astype(np.uint8)
            if self.declared.tidy:
                drawn = tidy(drawn, self.structures)
            labels[times, places, patch.top : patch.bottom, patch.left : patch.right] = self._values[drawn]

    def _pass(self, stage: Stage, images: torch.Tensor) -> torch.Tensor:
        ready = normalise(images)[:, None].numpy()
        parts = [self._engine(stage, ready[at : at + BATCH]) for at in range(0, len(ready), BATCH)]
        return torch.from_numpy(np.concatenate(parts))


def torch_engine(bundle: Bundle, device: str = "cpu") -> Engine:
    """Both networks of a bundle on torch."""
    stages: tuple[Stage, ...] = ("locate", "segment") if bundle.locate is not None else ("segment",)
    networks = {stage: bundle.build(stage).to(device) for stage in stages}

    def run(stage: Stage, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer = networks[stage](torch.from_numpy(images).to(device))
        return np.asarray(answer.float().cpu().numpy(), dtype=np.float32)

    return run


def _asked(indices: Sequence[int] | None, count: int) -> list[int]:
    if not indices:
        return list(range(count))
    if min(indices) < 0 or max(indices) >= count:
        raise ImageNotUsable(f"indices are 0 to {count - 1}")
    return sorted(set(indices))


def _require_finite(array: NDArray[Any]) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ImageNotUsable("the image holds values that are not finite")


def _describe(found: Found) -> dict[str, str]:
    window = found.window
    return {
        "locate.slices": str(found.slices),
        "locate.row": f"{window.row:.1f}",
        "locate.column": f"{window.column:.1f}",
        "locate.side": f"{window.side:.1f}",
        "locate.fallback": "" if found.slices else "centre",
    }
