"""Checkpoints: everything that going on needs, as bytes that hold tensors and numbers only."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from typing import Any

import torch
from irp_kernel.errors import DataLoss
from torch import Tensor

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Where a run was.

    Attributes:
        done: weights of the stages that are finished.
        state: of the stage being trained: see `Trainer.state`; None at its beginning.
        batch: slices per step, where the recipe left it open; 0 = it did not.
        remarks: what is to be told at the end, in sentences.
        configured: see `Configured.to_text`: what was chosen stays chosen, whatever later releases would choose.
    """

    done: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    batch: int = 0
    remarks: tuple[str, ...] = ()
    configured: str = ""


def pack(saved: Saved) -> bytes:
    """Saved -> bytes."""
    out = io.BytesIO()
    told = {"batch": saved.batch, "remarks": list(saved.remarks), "configured": saved.configured}
    torch.save({"format": FORMAT, "done": saved.done, "state": saved.state, **told}, out)
    return out.getvalue()


def unpack(data: bytes) -> Saved:
    """Bytes -> Saved, without running anything from them.

    Raises:
        DataLoss: the bytes are no checkpoint of this format.
    """
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as cause:
        raise DataLoss("a checkpoint cannot be read") from cause
    if found.get("format") != FORMAT:
        raise DataLoss("a checkpoint is of another format")
    told = {"batch": found.get("batch", 0), "remarks": tuple(found.get("remarks", ()))}
    told |= {"configured": found.get("configured", "")}
    return Saved(done=found["done"], state=found["state"], **told)
