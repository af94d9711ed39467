"""The gradients of one batch's loss, however few of its slices fit into memory at once and however many ranks share it.

The loss looks at a batch as a whole (its Dice sums over slices), so gradients of parts cannot simply be added. Instead
the logits of all slices are brought together first, the loss and its gradient with respect to the logits are computed
once, and every part then passes its rows of that gradient back through the net: the sum is the whole loss's gradient.
Where not all slices fit, forward passes run twice. Source: gradient caching, Gao et al., RepL4NLP 2021.

What is drawn at random within a net (dropout) is drawn alike both times: each pass of a part begins with a seed of its
own. Two layers notice all the same that a batch comes in parts. Dropout draws other masks than for the whole, as good
as those; batch normalisation takes means over the part that it sees, and counts it twice in its running statistics.
Nets of this house have neither; a base with batch normalisation does not get the gradients of its whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from irp_training.domain.errors import OutOfMemory
from irp_training.domain.feeding.ranks import Alone, Ranks, any_rank, share, sum_gradients, whole
from irp_training.domain.networks.mixed import Mixed

T = TypeVar("T")


class BatchLoss(Protocol):
    """A loss over a whole batch."""

    def __call__(self, logits: Tensor, base_logits: Tensor | None, labels: Tensor, judged: Tensor) -> Tensor:
        """Scalar; see domain/samples/loss.py for the shapes."""
        ...


class Gradients:
    """Leaves the gradients of a batch's loss in the net.

    Args:
        net: that learns.
        base: whose logits the loss compares with, where something was not judged; None = no such.
        loss: over a whole batch.
        mixed: precision of the forward passes.
        ranks: who shares the batch.

    Attributes:
        most: slices per pass; halved whenever memory does not suffice, on all ranks alike. None = all at once.
    """

    def __init__(
        self, net: nn.Module, base: nn.Module | None, loss: BatchLoss, mixed: Mixed, ranks: Ranks | None = None
    ) -> None:
        self._net, self._base, self._loss, self._mixed = net, base, loss, mixed
        self._ranks: Ranks = ranks or Alone()
        self._seed = 0
        self.most: int | None = None

    def __call__(self, image: Tensor, labels: Tensor, judged: Tensor, count: int, seed: int) -> float:
        """The loss of the batch.

        Args:
            image: this rank's slices; see `Sample`.
            labels: theirs.
            judged: theirs.
            count: slices of the whole batch.
            seed: of what the net draws at random for this rank's share.

        Raises:
            OutOfMemory: not even one slice fits.
        """
        self._seed = seed
        labels, judged = whole(self._ranks, labels, count), whole(self._ranks, judged.byte(), count).bool()
        while True:
            self._net.zero_grad()
            value = self._attempt(image, labels, judged)
            if value is not None:
                sum_gradients(self._ranks, list(self._net.parameters()))
                return value
            self._halve(-(-count // self._ranks.size), image.device)

    def _attempt(self, image: Tensor, labels: Tensor, judged: Tensor) -> float | None:
        """The loss with its gradients in the net; None if memory did not suffice somewhere."""
        base_net = None if bool(judged.all()) else self._base
        seen = self._fitting(lambda: (self._look(image), self._remember(base_net, image) if base_net else None))
        if seen is None:
            return None
        mine, base = seen
        logits = whole(self._ranks, mine.detach(), len(labels)).requires_grad_()
        base = whole(self._ranks, base, len(labels)) if base is not None else None

        def teach() -> float:
            loss = self._loss(logits, base, labels, judged)
            (gradient,) = torch.autograd.grad(self._mixed.scaled(loss), logits)
            self._pass_back(image, mine, gradient[share(self._ranks, len(labels))])
            return loss.item()

        return self._fitting(teach)

    def _look(self, image: Tensor) -> Tensor:
        """Logits, with their graph if all slices are looked at at once."""
        pieces = self._pieces(image)
        if len(pieces) == 1:
            return self._forward(0, image)
        with torch.no_grad():
            return torch.cat([self._forward(*piece) for piece in enumerate(pieces)])

    def _pass_back(self, image: Tensor, logits: Tensor, gradient: Tensor) -> None:
        if logits.requires_grad:
            logits.backward(gradient)
            return
        rows = gradient.split(self.most or len(image))
        for piece, its in zip(enumerate(self._pieces(image)), rows, strict=True):
            self._forward(*piece).backward(its)

    def _remember(self, base: nn.Module, image: Tensor) -> Tensor:
        with torch.no_grad(), self._mixed.forward():
            return torch.cat([base(piece).float() for piece in self._pieces(image)])

    def _forward(self, number: int, image: Tensor) -> Tensor:
        """Logits of a piece, with the random masks of its number."""
        torch.manual_seed(self._seed + number)
        with self._mixed.forward():
            logits: Tensor = self._net(image)
        return logits.float()

    def _pieces(self, image: Tensor) -> tuple[Tensor, ...]:
        pieces: tuple[Tensor, ...] = image.split(self.most or len(image))
        return pieces

    def _fitting(self, work: Callable[[], T]) -> T | None:
        """What the work gives; None if on any rank memory did not suffice for it."""
        try:
            found = work()
        except torch.OutOfMemoryError:
            found = None
        return None if any_rank(self._ranks, found is None) else found

    def _halve(self, largest_share: int, device: torch.device) -> None:
        at_once = min(self.most or largest_share, largest_share)
        if at_once <= 1:
            raise OutOfMemory
        self.most = (at_once + 1) // 2
        if device.type == "cuda":
            torch.cuda.empty_cache()
