"""A loss that knows what was looked at: what nobody judged is unknown, not background.

Channels that were not judged on a slice are merged with the background into "the rest" before anything is compared:
where only the cavity was drawn, the net is asked for cavity against everything else, and nothing is said about how
"everything else" divides into myocardium, right ventricle and background. What lies in a structure that was judged is
merged with that instead: where the wall was drawn and its scar was not looked for, scar is wall. A slice on which
nothing was judged gives no gradient at all. A patch of several slices is looked at as the slices that it consists of.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from irp_training.domain.samples.nested import Enclosing, known_classes, known_labels

SMOOTH = 1.0  # pixels: keeps Dice finite where a structure is absent
LOWEST = -1e4  # a logit that no sum notices


def by_slice(logits: Tensor, labels: Tensor, judged: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches as the slices that they consist of, for what is judged is judged slice by slice; slices as they are.

    Args:
        logits: (batch, 1 + structures, plane, row, column), or without planes.
        labels: (batch, plane, row, column), or without.
        judged: (batch, plane, structures), or without.
    """
    if logits.ndim == 4:
        return logits, labels, judged
    return logits.transpose(1, 2).flatten(0, 1), labels.flatten(0, 1), judged.flatten(0, 1)


def partial_loss(logits: Tensor, labels: Tensor, judged: Tensor, inside: Enclosing = ()) -> Tensor:
    """Cross-entropy over the merged classes plus batch Dice of the judged structures.

    Args:
        logits: (batch, 1 + structures, row, column); channel 0 is background. Of patches: see `by_slice`.
        labels: (batch, row, column), 0 to structures; only meaningful where judged.
        judged: bool (batch, structures).
        inside: see `enclosing`.

    Returns:
        Scalar; zero, without gradient, if nothing was judged.
    """
    logits, labels, judged = by_slice(logits, labels, judged)
    if not bool(judged.any()):
        return logits.sum() * 0.0
    log_p = merged_log_probabilities(logits, judged, inside)
    known = known_labels(labels, judged, inside)
    return _cross_entropy(log_p, known, judged) + _dice_loss(log_p[:, 1:].exp(), known, judged)


def remembering_loss(
    logits: Tensor, base_logits: Tensor, labels: Tensor, judged: Tensor, inside: Enclosing = ()
) -> Tensor:
    """How far the net has moved from the base in dividing what the expert left undivided.

    Divergence (Kullback-Leibler) of the base's shares from the net's, mean over the pixels that are known to be none of
    the judged structures (shares of background and unknown structures), or to be one that unknown ones lie in. Source:
    learning without forgetting, Li and Hoiem, IEEE TPAMI 40(12):2935-2947, 2018; for partial labels, Cermelli et al.,
    CVPR 2020.

    Args:
        logits: (batch, 1 + structures, row, column).
        base_logits: the base's for the same images.
        labels: (batch, row, column).
        judged: bool (batch, structures).
        inside: see `enclosing`.

    Returns:
        Scalar; zero if every structure was judged on every slice.
    """
    base_logits, _, _ = by_slice(base_logits, labels, judged)
    logits, labels, judged = by_slice(logits, labels, judged)
    some = judged.any(dim=1) & ~judged.all(dim=1)
    known = known_labels(labels, judged, inside)
    outside = known_classes(judged, inside)[:, :, None, None] != known[:, None]  # channels that the pixel cannot be
    where = ((~outside).sum(dim=1) > 1) & some[:, None, None]
    if not bool(where.any()):
        return logits.sum() * 0.0
    mine = functional.log_softmax(logits.masked_fill(outside, LOWEST), dim=1)
    base = functional.log_softmax(base_logits.masked_fill(outside, LOWEST), dim=1)
    return (base.exp() * (base - mine)).sum(dim=1)[where].mean()


def merged_log_probabilities(logits: Tensor, judged: Tensor, inside: Enclosing = ()) -> Tensor:
    """Log p of (rest, structure 1, ...): channels not judged are added to what they count as and get probability 0.

    Args:
        logits: (batch, 1 + structures, row, column).
        judged: bool (batch, structures).
        inside: see `enclosing`.
    """
    log_p = functional.log_softmax(logits, dim=1)
    classes = known_classes(judged, inside)
    rest = torch.logsumexp(log_p.masked_fill((classes != 0)[:, :, None, None], LOWEST), dim=1, keepdim=True)
    kept = list(log_p[:, 1:].masked_fill(~judged[:, :, None, None], LOWEST).split(1, dim=1))
    for place, around in enumerate(inside, start=1):
        part = (classes[:, place] == around) & (around > 0)
        if bool(part.any()):
            its = log_p[:, place : place + 1].masked_fill(~part[:, None, None, None], LOWEST)
            kept[around - 1] = torch.logaddexp(kept[around - 1], its)
    return torch.cat([rest, *kept], dim=1)


def _cross_entropy(log_p: Tensor, labels: Tensor, judged: Tensor) -> Tensor:
    weight = judged.any(dim=1).to(log_p.dtype)
    each = functional.nll_loss(log_p, labels, reduction="none").mean(dim=(1, 2))
    return (each * weight).sum() / weight.sum()


def _dice_loss(p: Tensor, labels: Tensor, judged: Tensor) -> Tensor:
    """1 - soft Dice over the batch, mean of the structures that are judged and present."""
    structures = torch.arange(1, p.shape[1] + 1).to(labels.device)
    truth = (labels[:, None] == structures[None, :, None, None]) & judged[:, :, None, None]
    overlap = (p * truth).sum(dim=(0, 2, 3))
    total = p.masked_fill(~judged[:, :, None, None], 0.0).sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    if not bool(present.any()):
        return p.sum() * 0.0
    return 1 - ((2 * overlap + SMOOTH) / (total + SMOOTH))[present].mean()
