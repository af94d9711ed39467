"""Mixed precision: convolutions in half the bits where the recipe allows it; weights, loss and sums stay float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def chosen(amp: str, device: torch.device) -> str:
    """What `auto` means on a device: bf16 on a GPU that has it, else fp16; off on a CPU, whose sums are to be exact."""
    if amp != "auto":
        return amp
    if device.type != "cuda":
        return "off"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


class Mixed:
    """Autocast and, for fp16, the scale that keeps small gradients from vanishing.

    Args:
        amp: see `Recipe`.
        device: that learns.
    """

    def __init__(self, amp: str, device: torch.device) -> None:
        self.kind = chosen(amp, device)
        self._device = device.type
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.kind == "fp16")

    def forward(self) -> AbstractContextManager[Any]:
        """Around forward passes."""
        on = self.kind in _TYPES
        return torch.autocast(self._device, dtype=_TYPES.get(self.kind, torch.bfloat16), enabled=on)

    def scaled(self, loss: Tensor) -> Tensor:
        """What gradients are taken of."""
        scaled: Tensor = self._scaler.scale(loss)
        return scaled

    def step(self, optimizer: torch.optim.Optimizer, net: nn.Module, clip_norm: float) -> None:
        """Unscale, clip, step; in fp16 a step whose gradients overflowed is left out, and the scale falls."""
        self._scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """For the checkpoint; empty unless fp16."""
        return dict(self._scaler.state_dict())

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; one of another precision is left out."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(state)
