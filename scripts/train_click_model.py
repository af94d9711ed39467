"""Trains the shipped click model: the left ventricle of a cine, from simulated clicks, patients held out whole.

The encoder looks at the image alone, the small network behind it at the encoder's channels and at the clicks. In
training the first click lies anywhere in the ventricle, and each further one where the answer so far is most wrong, as
a reader would set it. Stage 1 is that of `models/cine.zip`. What it makes: models/click.zip and click.md, the card.

    python scripts/train_click_model.py --data FOLDER      # FOLDER holds acdc_cine/, see models/README.md
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cohorts import acdc_arrays
from irp_bundle import (
    Bundle,
    InteractiveSteps,
    PipelineSpec,
    PipelineSteps,
    PromptsSpec,
    SegmentSpec,
    TorchEngine,
    build_network,
    complete,
    dice,
    prompt_maps,
    read_bundle,
    write_bundle,
)
from irp_bundle.spec import PostSpec
from irp_kernel import Geometry, LabelTable, Mask, Volume
from irp_training.domain.learning.trainer import one_cycle
from irp_training.domain.samples.augment import Augmentation
from irp_training.domain.samples.examples import Example, examples_of
from irp_training.domain.samples.loss import partial_loss
from irp_training.domain.samples.stages import Sample, Segment
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
STRUCTURES = ("lv_blood_pool", "lv_myocardium")
SIZE, FEATURES, MARGIN = 112, 12, 2.4
SEED, BATCH, RATE, AVERAGE, STRENGTH = 20261127, 8, 3e-3, 0.995, 0.7
ROUNDS = (0, 1, 2)  # corrective clicks in training, after the first
CLICKS = (1, 2, 3, 5, 8)  # at which figures are taken
NOMINAL_MM = (10.0, 1.5, 1.5)  # (slice, row, column): the collection has lost its spacing
SPEC = PromptsSpec(kinds=("click", "scribble"), encoding="disk", radius=3.0)

Region = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Patient:
    """Two frames of one patient with what an expert drew."""

    name: str
    part: str
    volume: Volume
    mask: Mask


def patients(folder: Path) -> Iterator[Patient]:
    """ACDC, split as the shipped models were."""
    for name, part, images, labels in acdc_arrays(folder):
        affine = tuple(map(tuple, np.diag([*NOMINAL_MM, 1.0])))
        geometry = Geometry(shape=images.shape[1:], affine=affine, frames=len(images))
        annotated = np.ones((*images.shape[:2], 3), np.bool_)
        table = LabelTable.canonical(["lv_blood_pool", "lv_myocardium", "rv_blood_pool"])
        mask = Mask(geometry=geometry, labels=labels, table=table, annotated=annotated)
        yield Patient(name, part, Volume(geometry=geometry, array=images), mask)


def networks() -> tuple[dict[str, Any], dict[str, Any]]:
    """Encoder and what is behind it."""
    common = {"_target_": "UNet", "spatial_dims": 2, "norm": "INSTANCE", "num_res_units": 1}
    encoder = {"in_channels": 1, "out_channels": FEATURES, "channels": [16, 32, 64, 96], "strides": [2, 2, 2]}
    head = {"in_channels": FEATURES + 2, "out_channels": 3, "channels": [12, 24, 48], "strides": [2, 2]}
    return common | encoder, common | head


class Clicks:
    """What is clicked on one crop: inside and outside pixels."""

    def __init__(self, truth: Region, generator: np.random.Generator) -> None:
        self.truth = truth
        self.inside, self.outside = np.zeros(truth.shape, np.bool_), np.zeros(truth.shape, np.bool_)
        self._random = generator
        if truth.any():
            self._click(truth, self.inside)
        else:
            self.outside[tuple(int(x) for x in generator.integers(0, truth.shape))] = True

    def correct(self, found: Region) -> bool:
        """One click in the largest piece that is wrong; False if nothing is."""
        missing, beyond = self.truth & ~found, found & ~self.truth
        piece, is_missing = _largest(missing), True
        other = _largest(beyond)
        if other.sum() > piece.sum():
            piece, is_missing = other, False
        if not piece.any():
            return False
        self._click(piece, self.inside if is_missing else self.outside)
        return True

    def maps(self) -> NDArray[np.float32]:
        """As the network sees them: the crop is its own window."""
        size = self.truth.shape[0]
        return prompt_maps(self.inside, self.outside, ((size - 1) / 2, (size - 1) / 2, size), size, SPEC)

    def _click(self, region: Region, into: Region) -> None:
        """Deep within a region more often than at its border."""
        depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        weights = (depth**2).ravel()
        place = int(self._random.choice(weights.size, p=weights / weights.sum()))
        into.ravel()[place] = True


def _largest(region: Region) -> Region:
    pieces, count = ndimage.label(region)
    return pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()) if count else region


def train(examples: Sequence[Example], steps: int) -> tuple[nn.Module, nn.Module]:
    """Encoder and head: the moving averages of their weights."""
    torch.manual_seed(SEED)
    encoder_def, head_def = networks()
    nets = nn.ModuleList([build_network(encoder_def), build_network(head_def, inputs=(FEATURES + 2, SIZE, SIZE))])
    average = copy.deepcopy(nets)
    optimizer = torch.optim.AdamW(nets.parameters(), lr=RATE, weight_decay=0.01)
    stage = Segment(STRUCTURES, SegmentSpec(size=SIZE), MARGIN)
    usable, began = stage.usable(examples), time.monotonic()
    for step in range(steps):
        generator = np.random.default_rng((SEED, step))
        chosen = [usable[int(n)] for n in generator.integers(0, len(usable), BATCH)]
        samples = [stage.sample(example, generator, Augmentation(strength=STRENGTH)) for example in chosen]
        for group in optimizer.param_groups:
            group["lr"] = RATE * one_cycle(step, steps)
        loss = _lesson(nets, samples, generator)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(nets.parameters(), 5.0)
        optimizer.step()
        with torch.no_grad():
            for mean, now in zip(average.parameters(), nets.parameters(), strict=True):
                mean.lerp_(now, 1 - min(AVERAGE, (step + 1) / (step + 10)))
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.3f} {time.monotonic() - began:.0f} s", flush=True)
    return average[0].eval(), average[1].eval()


def _lesson(nets: nn.ModuleList, samples: Sequence[Sample], generator: np.random.Generator) -> Tensor:
    """Loss after the first click and some corrective ones; the encoder looks once."""
    images, labels, judged = (torch.stack(part) for part in zip(*samples, strict=True))
    features = nets[0](images)
    clicks = [Clicks((label > 0).numpy(), generator) for label in labels]
    for _ in range(int(generator.choice(ROUNDS))):
        with torch.no_grad():
            found = nets[1](_inputs(features, clicks)).argmax(1) > 0
        for one, region in zip(clicks, found.numpy(), strict=True):
            one.correct(region)
    return partial_loss(nets[1](_inputs(features, clicks)), labels, judged)


def _inputs(features: Tensor, clicks: Sequence[Clicks]) -> Tensor:
    return torch.cat([features, torch.from_numpy(np.stack([one.maps() for one in clicks]))], 1)


def bundle_of(encoder: nn.Module, head: nn.Module, card: str, figures: Mapping[str, Any]) -> bytes:
    """The bundle, with stage 1 and the licence of the shipped cine model."""
    cine = read_bundle((ROOT / "models/cine.zip").read_bytes())
    encoder_def, head_def = networks()
    spec = PipelineSpec(
        locate=cine.spec.locate,
        segment=SegmentSpec(size=SIZE),
        post=PostSpec(largest_component=False),
        prompts=SPEC,
    )
    config = {"network_def": head_def, "encode_def": encoder_def, "locate_def": cine.config["locate_def"]}
    return write_bundle(
        "click",
        head.state_dict(),
        cine.weights["locate"],
        config | {"irp_pipeline": spec.to_json()},
        {"structures": list(STRUCTURES), "seed": SEED, "figures": dict(figures)},
        card,
        cine.licence,
        encode_state=encoder.state_dict(),
    )


def measure(bundle: Bundle, those: Sequence[Patient]) -> dict[str, dict[int, list[float]]]:
    """Dice per structure, number of clicks and patient: the whole pipeline, slices in which the ventricle was drawn."""
    engine, steps = TorchEngine(bundle), InteractiveSteps(bundle, SPEC)
    found: dict[str, dict[int, list[float]]] = {name: {clicks: [] for clicks in CLICKS} for name in STRUCTURES}
    for number, patient in enumerate(those):
        answers = _clicked(bundle, steps, engine, patient, np.random.default_rng((SEED, number)))
        for clicks, (labels, truth) in answers.items():
            for value, name in enumerate(STRUCTURES, 1):
                found[name][clicks].append(float(dice(labels == value, truth == value)))
    return found


def _clicked(
    bundle: Bundle, steps: InteractiveSteps, engine: TorchEngine, patient: Patient, generator: np.random.Generator
) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(labels, truth) of all drawn slices of a patient after so many clicks on each."""
    located = complete(PipelineSteps(bundle).locate(patient.volume), engine)
    gathered: dict[int, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {clicks: [] for clicks in CLICKS}
    for frame, place in np.ndindex(patient.mask.labels.shape[:2]):
        truth = patient.mask.labels[frame, place] * (patient.mask.labels[frame, place] <= len(STRUCTURES))
        if not truth.any():
            continue
        clicks, nowhere = Clicks(truth > 0, generator), np.zeros(truth.shape, np.bool_)
        for number in range(1, max(CLICKS) + 1):
            view = steps.view((frame, place), clicks.inside, clicks.outside, nowhere, located)
            features = complete(steps.encode(patient.volume, [view]), engine)
            labels = complete(steps.segment([view], features, located), engine).labels[0, 0]
            if number in CLICKS:
                gathered[number].append((labels, truth))
            clicks.correct(labels > 0)
    return {n: (np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs])) for n, pairs in gathered.items()}


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--out", type=Path, default=ROOT / "models")
    asked = parser.parse_args()
    everybody = list(patients(asked.data / "acdc_cine"))
    learning = [one for one in everybody if one.part == "training"]
    examples = [example for one in learning for example in examples_of(one.volume, one.mask, STRUCTURES)]
    print(f"{len(learning)} patients, {len(examples)} slices", flush=True)
    encoder, head = train(examples, asked.steps)
    parts = {part: [one for one in everybody if one.part == part] for part in ("validation", "test")}
    draft = read_bundle(bundle_of(encoder, head, "", {}))
    figures = {part: measure(draft, those) for part, those in parts.items()}
    print(json.dumps(figures))
    text = card(asked.steps, len(learning), figures)
    (asked.out / "click.zip").write_bytes(bundle_of(encoder, head, text, figures))
    (asked.out / "click.md").write_text(text)


def card(steps: int, learnt_from: int, figures: Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]]) -> str:
    """docs/README.md of the bundle."""
    rows = [
        f"| {part} | {name} | {clicks} | {np.mean(values):.3f} | {min(values):.3f} | {len(values)} |"
        for part, structures in figures.items()
        for name, by_clicks in structures.items()
        for clicks, values in by_clicks.items()
    ]
    return (
        (ROOT / "scripts/click_card.md")
        .read_text()
        .format(steps=steps, patients=learnt_from, seed=SEED, batch=BATCH, size=SIZE, rows="\n".join(rows))
    )


if __name__ == "__main__":
    main()
