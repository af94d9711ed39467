"""A recipe's second stage as a plain PyTorch loop: what one would write without a server, step for step the same."""

from __future__ import annotations

import copy
import multiprocessing
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from irp_training.adapters.worker import NICENESS
from irp_training.domain.learning.curriculum import Curriculum
from irp_training.domain.learning.plan import CaseFile
from irp_training.domain.learning.pupils import read_pupils
from irp_training.domain.learning.trainer import CLIP_NORM, one_cycle
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.samples.augment import NONE
from irp_training.domain.samples.loss import partial_loss


def beside(files: Sequence[CaseFile], recipe: Recipe) -> tuple[float, float, list[float]]:
    """The plain loop in a process of its own: seconds and processor seconds of its passes but the first, and losses."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=plain, args=(files, recipe, theirs))
    process.start()
    found: tuple[float, float, list[float]] = mine.recv()
    process.join()
    return found


def plain(files: Sequence[CaseFile], recipe: Recipe, pipe: Any) -> None:
    """The same in a loop as one would write it: stage 2, validated after every pass."""
    os.nice(NICENESS)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    taught = Curriculum(recipe, None)
    pupils = read_pupils(files, taught.structures)
    stage = taught.stages[1]
    examples, validation = stage.usable(pupils.training), stage.usable(pupils.validation)
    net = taught.net(stage)
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.segment_rate, weight_decay=recipe.weight_decay)
    steps = max(recipe.min_steps, len(examples) // recipe.batch)
    ends, spent, losses = list[float](), list[float](), list[float]()
    for epoch in range(recipe.segment_epochs):
        net.train()
        total = 0.0
        for step in range(epoch * steps, (epoch + 1) * steps):
            image, labels, judged = _batch(step, stage, examples, recipe)
            rate = recipe.segment_rate * one_cycle(step, steps * recipe.segment_epochs)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            loss = partial_loss(net(image), labels, judged)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
            optimizer.step()
            decay = min(recipe.ema, (step + 1) / (step + 10))
            with torch.no_grad():
                for mean, now in zip(average.parameters(), net.parameters(), strict=True):
                    mean.lerp_(now, 1 - decay)
            total += loss.item()
        _dice(average, stage, validation, recipe.batch)
        losses.append(total / steps)
        ends.append(time.perf_counter())
        spent.append(time.process_time())
    pipe.send((ends[-1] - ends[0], spent[-1] - spent[0], losses))


def _batch(step: int, stage: Any, examples: Sequence[Any], recipe: Recipe) -> list[torch.Tensor]:
    samples = []
    for place in range(step * recipe.batch, (step + 1) * recipe.batch):
        round_, at = divmod(place, len(examples))
        seed = (recipe.seed, 1, round_)
        chosen = int(np.random.default_rng(seed).permutation(len(examples))[at])
        samples.append(stage.sample(examples[chosen], np.random.default_rng((*seed, at)), recipe.augmentation))
    return [torch.stack(parts) for parts in zip(*samples, strict=True)]


def _dice(net: torch.nn.Module, stage: Any, examples: Sequence[Any], size: int) -> float:
    net.eval()
    overlap = total = 0.0
    for start in range(0, len(examples), size):
        samples = [stage.sample(one, None, NONE) for one in examples[start : start + size]]
        image, labels, judged = (torch.stack(parts) for parts in zip(*samples, strict=True))
        with torch.no_grad():
            found = net(image).argmax(dim=1)
        for place in range(judged.shape[1]):
            seen = judged[:, place, None, None]
            a, b = (found == place + 1) & seen, (labels == place + 1) & seen
            overlap, total = overlap + float((a & b).sum()), total + float(a.sum() + b.sum())
    return 2 * overlap / max(total, 1.0)
