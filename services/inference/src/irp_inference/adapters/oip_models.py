"""A model's networks under the protocol's names: `<name>.locate`, `<name>.segment`; what each takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from irp_bundle import Stage
from irp_kernel.errors import ModelUnknown
from irp_kernel.ids import Slug

from irp_inference.app.ports import Loaded
from irp_inference.app.repository import Entry, Repository, Statistics

INPUT, OUTPUT, FP32 = "image", "logits", "FP32"
LOCATE_CHANNELS = 2  # background, left ventricle
STAGES: tuple[Stage, ...] = ("locate", "segment")
EXTENSIONS = ["statistics", "model_configuration", "model_repository", "binary_tensor_data", "parameters"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which network a request means."""

    model: str
    stage: Stage
    version: int | None


def asked_for(name: str, version: str) -> Asked:
    """Read the protocol's name and version.

    Raises:
        ModelUnknown: it cannot be one of ours.
    """
    base, _, stage = name.rpartition(".")
    if stage not in STAGES or (version and not (version.isdecimal() and len(version) < 10)):
        raise ModelUnknown("models are named <name>.locate and <name>.segment, versions are integers")
    return Asked(Slug(base), "locate" if stage == "locate" else "segment", int(version) if version else None)


def image_shape(model: Loaded, stage: Stage) -> tuple[int, int, int]:
    """(channels, y, x) of one input."""
    spec = model.steps.spec
    size = spec.locate.size if stage == "locate" else spec.segment.size
    return 1, size, size


def logits_shape(model: Loaded, stage: Stage) -> tuple[int, int, int]:
    """(classes, y, x) of one output."""
    _, rows, columns = image_shape(model, stage)
    return (LOCATE_CHANNELS if stage == "locate" else len(model.steps.bundle.channels)), rows, columns


class Catalogue:
    """Descriptions of the networks, as both doors tell them."""

    def __init__(self, repository: Repository, statistics: Statistics, version: str, max_batch: int) -> None:
        self._repository, self._statistics = repository, statistics
        self._version, self.max_batch = version, max_batch

    def server(self) -> dict[str, Any]:
        """ServerMetadata."""
        return {"name": "openirp-inference", "version": self._version, "extensions": EXTENSIONS}

    def ready(self, name: str, version: str) -> bool:
        """True if it would answer now; nothing is loaded to find out."""
        asked = asked_for(name, version)
        model = self._repository.serving(asked.model, asked.version)
        return model is not None and asked.stage in model.steps.bundle.stages

    async def metadata(self, model: Loaded, stage: Stage) -> dict[str, Any]:
        """ModelMetadata; -1 = any number."""
        versions = [str(e.version) for e in await self._repository.index() if e.name == model.name]
        return {
            "name": f"{model.name}.{stage}",
            "versions": versions,
            "platform": model.nets.engine,
            "inputs": [{"name": INPUT, "datatype": FP32, "shape": [-1, *image_shape(model, stage)]}],
            "outputs": [{"name": OUTPUT, "datatype": FP32, "shape": [-1, *logits_shape(model, stage)]}],
        }

    def config(self, model: Loaded, stage: Stage) -> dict[str, Any]:
        """ModelConfig."""
        kind = "KIND_CPU" if model.nets.device == "cpu" else "KIND_GPU"
        output = {"name": OUTPUT, "data_type": "TYPE_FP32", "dims": list(logits_shape(model, stage))}
        image = {"name": INPUT, "data_type": "TYPE_FP32", "format": "FORMAT_NCHW"}
        return {
            "name": f"{model.name}.{stage}",
            "platform": model.nets.engine,
            "backend": model.nets.engine,
            "max_batch_size": self.max_batch,
            "input": [{**image, "dims": list(image_shape(model, stage))}],
            "output": [output],
            "instance_group": [{"name": model.nets.device, "kind": kind, "count": 1}],
            "parameters": {"bundle_sha256": {"string_value": model.digest}},
            "model_transaction_policy": {"decoupled": False},
        }

    async def statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        """ModelStatistics of one network, or (no name) of every loaded one.

        Raises:
            ModelUnknown: it is not loaded.
        """
        if name:
            asked = asked_for(name, version)
            one = self._repository.serving(asked.model, asked.version)
            if one is None or asked.stage not in one.steps.bundle.stages:
                raise ModelUnknown(f"{name} is not loaded")
            return [self._statistic(one, asked.stage)]
        held = [entry.loaded for entry in await self._repository.index() if entry.loaded]
        return [self._statistic(model, stage) for model in held for stage in model.steps.bundle.stages]

    def _statistic(self, model: Loaded, stage: Stage) -> dict[str, Any]:
        names = {"name": f"{model.name}.{stage}", "version": str(model.version)}
        return {**names, **self._statistics.of(model, stage)}

    async def index(self, *, ready_only: bool) -> list[dict[str, str]]:
        """RepositoryIndex: a version that is not loaded has no stages yet, and stands under both names."""
        lines = []
        for entry in await self._repository.index():
            stages = entry.loaded.steps.bundle.stages if entry.loaded else STAGES
            lines += [_line(entry, stage) for stage in stages if entry.loaded or not ready_only]
        return lines


def _line(entry: Entry, stage: Stage) -> dict[str, str]:
    state = "READY" if entry.loaded and not entry.unloaded else "UNAVAILABLE"
    reason = "" if entry.loaded else ("unloaded" if entry.unloaded else "loaded when it is asked for")
    return {"name": f"{entry.name}.{stage}", "version": str(entry.version), "state": state, "reason": reason}
