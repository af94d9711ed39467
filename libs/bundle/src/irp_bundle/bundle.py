"""One bundle = one pipeline = one digest. In: ZIP bytes. Out: networks and their use. Never runs their code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from irp_kernel import CANONICAL, LabelTable, sha256_of
from torch import Tensor

from irp_bundle.archive import DEFAULT_LIMITS, Limits, pack, unpack
from irp_bundle.documents import CONFIG, configuration_of, json_of, text_of
from irp_bundle.errors import (
    BundleBroken,
    BundleTooLarge,
    ChannelsNotKnown,
    NetworkNotAllowed,
    PipelineNotValid,
    WeightsMissing,
)
from irp_bundle.exports import PATHS, Exports, check_exports, read_exports
from irp_bundle.layout import complete_config, complete_metadata
from irp_bundle.networks import MEMBERS, ROLES, Stage, build_network, definition_of, out_channels
from irp_bundle.prompts import MAPS
from irp_bundle.spec import PipelineSpec
from irp_bundle.spec_reading import read_spec
from irp_bundle.weights import StateDict, load_weights, save_weights
from irp_bundle.zoo import derive, is_foreign, network_definition

METADATA = "configs/metadata.json"
CARD, LICENCE, ROOT_LICENCE = "docs/README.md", "docs/license.txt", "LICENSE"
WEIGHTS = {role: f"models/{role}.pt" for role in ROLES.values()}
MEMBER = re.compile(r"models/model\.\d+\.(pt|ts|onnx)")
KNOWN = {*WEIGHTS.values(), *(path for paths in PATHS.values() for path in paths.values())}
BACKGROUND = "background"
MAX_FEATURES = 64  # channels that an encoder answers
MAX_CHANNELS = 256  # of stage 2: the strongest is kept in a byte
LOCATE_CHANNELS = 2  # background, left ventricle

# Names that other bundles use for the same structures.
ALIASES: Mapping[str, str] = {
    "lv_pool": "lv_blood_pool",
    "lv_cavity": "lv_blood_pool",
    "left_ventricle_pool": "lv_blood_pool",
    "left_ventricular_pool": "lv_blood_pool",
    "myocardium": "lv_myocardium",
    "left_ventricular_myocardium": "lv_myocardium",
    "rv_pool": "rv_blood_pool",
    "rv_cavity": "rv_blood_pool",
    "right_ventricle_pool": "rv_blood_pool",
    "right_ventricular_pool": "rv_blood_pool",
    "heart_ventricle_left": "lv_blood_pool",
    "heart_myocardium": "lv_myocardium",
    "heart_ventricle_right": "rv_blood_pool",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """A model as it travels.

    Attributes:
        digest: SHA-256 of the archive.
        metadata: configs/metadata.json.
        config: configs/inference.json, as plain JSON; `$` expressions in it are text.
        weights: "model" (stage 2), "model.2"... (further members of an ensemble), and, unless the bundle has one stage
            only, "locate" (stage 1); "encode" if what a model that takes marks sees of the image is computed once for
            all marks; float16.
        card: docs/README.md.
        licence: docs/license.txt.
        spec: `irp_pipeline`, checked.
        channels: structure per output channel of stage 2; channel 0 is "background" only if the bundle says so.
        exports: networks as they run, by stage and format; beside the weights, or instead of them.
        derived: of what `spec` was made where there is no `irp_pipeline`, but MONAI's own keys; see zoo.py.
    """

    digest: str
    metadata: dict[str, Any]
    config: dict[str, Any]
    weights: dict[str, StateDict]
    card: str
    licence: str
    spec: PipelineSpec
    channels: tuple[str, ...]
    exports: Exports = field(default_factory=dict)
    derived: tuple[str, ...] = ()

    @property
    def structures(self) -> tuple[str, ...]:
        """Canonical names, in the order of their channels."""
        return tuple(name for name in self.channels if name != BACKGROUND)

    @property
    def table(self) -> LabelTable:
        """The canonical label table of what the bundle segments."""
        return LabelTable.canonical(self.structures)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that it has: stage 1, an encoder, stage 2 with every member of its ensemble."""
        return tuple(stage for stage, role in ROLES.items() if role in self.weights or stage in self.exports)

    @property
    def members(self) -> tuple[Stage, ...]:
        """The networks of stage 2, whose probabilities are averaged: one, or an ensemble's."""
        return tuple(stage for stage in self.stages if stage in MEMBERS)

    def input_shape(self, stage: Stage) -> tuple[int, ...]:
        """One input of a network: (channels, rows, columns) or (channels, slices, rows, columns)."""
        if stage == "locate":
            return self.spec.locate.input_shape
        _, *grid = self.spec.input_shape
        if stage in MEMBERS and self.spec.prompts is not None:
            return self.logit_channels("encode") + MAPS, *grid
        return self.spec.input_shape

    def logit_channels(self, stage: Stage) -> int:
        """Channels that a network answers; without an encoder the crop itself counts as its answer."""
        if stage == "encode":
            return out_channels(self.config.get(definition_of(stage)) or {}) if stage in self.stages else 1
        return LOCATE_CHANNELS if stage == "locate" else len(self.channels)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in float32, as they lie in memory; of an export its length stands for them."""
        exported = (
            min(map(len, formats.values())) for stage, formats in self.exports.items() if not self.learns(stage)
        )
        return sum(4 * tensor.numel() for state in self.weights.values() for tensor in state.values()) + sum(exported)

    def learns(self, stage: Stage) -> bool:
        """True if a stage has weights, from which its network is built here and can be learnt further."""
        return ROLES[stage] in self.weights

    def build(self, stage: Stage) -> torch.nn.Module:
        """The network of a stage with its weights: float32, eval, on the CPU.

        Raises:
            BundleBroken: the weights do not fit the definition.
            WeightsMissing: the stage has none.
        """
        if not self.learns(stage):
            raise WeightsMissing
        network = build_network(self.config.get(definition_of(stage)), inputs=self.input_shape(stage))
        state = self.weights[ROLES[stage]]
        try:
            network.load_state_dict({name: _float32(tensor) for name, tensor in state.items()})
        except RuntimeError as cause:
            raise BundleBroken("the weights do not fit the network's definition", stage=stage) from cause
        return network.float().eval()


def read_bundle(data: bytes, limits: Limits = DEFAULT_LIMITS, *, build: bool = True) -> Bundle:
    """ZIP bytes -> Bundle, wholly checked: networks can be built and fit their weights; exports are not opened here.

    Args:
        data: the archive.
        limits: bounds.
        build: False where another process builds the networks before they run, and checks them thereby.

    Raises:
        BundleBroken, BundleUnsafe, BundleTooLarge, NetworkNotAllowed, PipelineNotValid, PipelineNotDerived,
        ChannelsNotKnown.
    """
    files = unpack(data, limits)
    metadata, config = json_of(files, METADATA, limits), configuration_of(files, limits)
    derived = derive(config) if is_foreign(config) else None
    if derived is not None:
        config = {**config, "network_def": network_definition(config), "irp_pipeline": derived.pipeline()}
    if not {WEIGHTS["model"], *PATHS["segment"].values()} & set(files):
        raise BundleBroken("models/model.pt is missing, and models/model.ts and models/model.onnx are too")
    if any(MEMBER.fullmatch(path) and path not in KNOWN for path in files):
        raise BundleTooLarge("an ensemble has too many members", limit_members=len(MEMBERS))
    weights = {role: load_weights(files[path], limits) for role, path in WEIGHTS.items() if path in files}
    bundle = Bundle(
        digest=sha256_of(data),
        metadata=metadata,
        config=config,
        weights=weights,
        card=text_of(files, CARD, limits),
        licence=text_of(files, LICENCE if LICENCE in files else ROOT_LICENCE, limits),
        spec=read_spec(config.get("irp_pipeline", {})),
        channels=_channels(metadata, config, foreign=derived is not None),
        exports=read_exports(files, limits),
        derived=tuple(derived.notes) if derived else (),
    )
    if derived and (unknown := bundle.channels.count(BACKGROUND) - 1):
        of_it = (
            "1 structure of it is not known here, and counts"
            if unknown == 1
            else f"{unknown} structures of it are not known here, and count"
        )
        bundle = replace(bundle, derived=(*bundle.derived, f"channel_def: {of_it} as background"))
    _require_encoder_fits(bundle)
    if (bundle.spec.segment.slide or bundle.spec.program) and "locate" in bundle.stages:
        raise PipelineNotValid("`segment.slide` and `program` look at the whole image: stage 1 has nothing to say")
    for stage in bundle.stages:
        if build and bundle.learns(stage):
            bundle.build(stage)
        check_exports(bundle.exports, stage, bundle.input_shape(stage), bundle.logit_channels(stage), limits)
    return bundle


def write_bundle(
    name: str,
    segment_state: Mapping[str, Tensor] | None,
    locate_state: Mapping[str, Tensor] | None,
    config: Mapping[str, Any],
    metadata: Mapping[str, Any],
    card: str,
    licence: str,
    *,
    further_members: Sequence[Mapping[str, Tensor]] = (),
    encode_state: Mapping[str, Tensor] | None = None,
    exports: Mapping[str, bytes] | None = None,
) -> bytes:
    """Networks -> ZIP bytes; the same content gives the same bytes. What it writes, `read_bundle` reads.

    Args:
        name: the bundle's folder.
        segment_state: weights of stage 2; stored as float16; None if it is exported only.
        locate_state: weights of stage 1, or None.
        config: `network_def`, `locate_def`, `encode_def`, `irp_pipeline`; what MONAI's own tools need is added.
        metadata: at least `structures` (list of canonical names in channel order) or MONAI's `network_data_format`;
            everything else (dataset digest, recipe, figures, seed...) is kept as it is.
        card: docs/README.md: data, recipe, figures, limits.
        licence: docs/license.txt.
        further_members: weights of stage 2's ensemble beyond the first.
        encode_state: weights of the encoder of a model that takes marks, or None.
        exports: networks as they run, by path (models/model.onnx, models/locate.ts...).

    Raises:
        As `read_bundle`.
    """
    documents = {METADATA: complete_metadata(name, metadata, config), CONFIG: complete_config(config, metadata)}
    files = {path: _dump(document) for path, document in documents.items()}
    files |= {CARD: card.encode(), LICENCE: licence.encode()} | dict(exports or {})
    if len(further_members) >= len(MEMBERS):
        raise BundleTooLarge("an ensemble has too many members", limit_members=len(MEMBERS))
    states: dict[Stage, Mapping[str, Tensor] | None] = {
        "segment": segment_state,
        "locate": locate_state,
        "encode": encode_state,
    }
    states |= zip(MEMBERS[1 : 1 + len(further_members)], further_members, strict=True)
    files |= {WEIGHTS[ROLES[stage]]: save_weights(state) for stage, state in states.items() if state is not None}
    data = pack(name, files)
    read_bundle(data)
    return data


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def _channels(metadata: Mapping[str, Any], config: Mapping[str, Any], *, foreign: bool) -> tuple[str, ...]:
    """Structure per channel, from MONAI's `channel_def`, by name.

    What a foreign bundle segments beside structures that are known here counts as background: it is none of them.
    """
    try:
        definition = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        named = {int(channel): _canonical(str(text)) for channel, text in definition.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise ChannelsNotKnown("configs/metadata.json has no channel_def for `pred`") from cause
    count = out_channels(config.get("network_def") or {}) or len(named)
    known = [name for name in named.values() if name in CANONICAL.values()]
    unknown = [name for name in named.values() if name not in {BACKGROUND, *known}]
    once = len(set(known)) == len(known) and list(named.values()).count(BACKGROUND) == 1
    counted = sorted(named) == list(range(count)) and count <= MAX_CHANNELS
    if (unknown and not foreign) or not known or not once or not counted:
        raise ChannelsNotKnown(f"known are {BACKGROUND}, {', '.join(CANONICAL.values())}", channels=count)
    if named[0] != BACKGROUND:
        raise ChannelsNotKnown("channel 0 is the background, and there is at least one structure")
    if config.get("locate_def") is not None and out_channels(config["locate_def"]) != LOCATE_CHANNELS:
        raise ChannelsNotKnown("stage 1 answers two channels: background and left ventricle")
    return tuple(BACKGROUND if named[channel] in unknown else named[channel] for channel in range(count))


def _require_encoder_fits(bundle: Bundle) -> None:
    if bundle.spec.prompts is not None and len(bundle.members) > 1:
        raise PipelineNotValid("a model that takes marks has one network for them")
    if "encode" not in bundle.stages:
        return
    if bundle.spec.prompts is None:
        raise PipelineNotValid("a bundle with an encoder says in `prompts` which marks it takes")
    if not 1 <= bundle.logit_channels("encode") <= MAX_FEATURES:
        raise NetworkNotAllowed(f"an encoder answers 1 to {MAX_FEATURES} channels")


def _canonical(text: str) -> str:
    word = "_".join(text.strip().lower().replace("-", " ").split())
    return ALIASES.get(word, word)


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
