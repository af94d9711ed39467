"""The plain engine: PyTorch, on the CPU or a GPU. The truth that every other engine is compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from irp_bundle.bundle import Bundle
from irp_bundle.networks import Stage

BATCH = 16  # slices per forward pass


class TorchEngine:
    """Answers logits in float32.

    Attributes:
        name: "torch".
        device: "cpu", "cuda", "cuda:0"...
    """

    # `autocast` computes in bfloat16 where torch thinks it safe: faster, and not the same answer. `build` gives a
    # stage's network: from its weights, unless somebody may open a TorchScript file (scripts.py).

    name = "torch"

    def __init__(
        self,
        bundle: Bundle,
        device: str = "cpu",
        batch: int = BATCH,
        *,
        autocast: bool = False,
        build: Callable[[Bundle, Stage], torch.nn.Module] = Bundle.build,
    ) -> None:
        if torch.device(device).type == "cuda":
            # For the whole process: TensorFloat-32, the default of convolutions, has 10 bits where float32 has 23, and
            # moved pixels on the border of a structure. Without it the masks were those of the CPU.
            torch.backends.cudnn.allow_tf32 = False
        self.device, self._batch, self._autocast = device, batch, autocast
        self._networks = {stage: build(bundle, stage).to(device) for stage in bundle.stages}

    def __call__(self, stage: Stage, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, size, size) -> logits (N, channels, size, size)."""
        network = self._networks[stage]
        answers = []
        kind = torch.device(self.device).type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self._autocast):
            for begin in range(0, len(batch), self._batch):
                part = torch.from_numpy(np.ascontiguousarray(batch[begin : begin + self._batch])).to(self.device)
                answers.append(network(part).float().cpu())
        return torch.cat(answers).numpy()
