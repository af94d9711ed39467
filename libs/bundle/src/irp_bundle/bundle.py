"""A model as it travels: one bundle = one pipeline = one digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from irp_bundle.errors import BundleNotValid, WeightsDoNotFit
from irp_bundle.network import build_network

Stage = Literal["locate", "segment"]
Weights = Mapping[str, Tensor]
_DEFINITION: Mapping[str, str] = {"segment": "network_def", "locate": "locate_def"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A MONAI bundle with the two-stage pipeline.

    Attributes:
        name: folder name inside the archive.
        digest: SHA-256 of the archive.
        metadata: configs/metadata.json.
        config: configs/inference.json: `network_def`, `locate_def` (absent = one stage), `irp_pipeline`.
        segment: state dict of models/model.pt, float16 at rest.
        locate: state dict of models/locate.pt, or None.
        card: docs/README.md.
        licence: docs/license.txt.
    """

    name: str
    digest: str
    metadata: Mapping[str, Any]
    config: Mapping[str, Any]
    segment: Weights
    locate: Weights | None
    card: str
    licence: str

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the output channels 1, 2, ...: by name, never by position in any other list.

        Raises:
            BundleNotValid: `channel_def` does not number them from background on.
        """
        try:
            channels = self.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
            names = [str(channels[str(number)]) for number in range(len(channels))]
        except (KeyError, TypeError):
            raise BundleNotValid("metadata.json does not number its output channels") from None
        if not names or names[0].lower() != "background" or len(set(names)) != len(names):
            raise BundleNotValid("channel 0 must be background, and each name stands there once")
        return tuple(names[1:])

    @property
    def pipeline(self) -> Mapping[str, Any]:
        """`irp_pipeline` of configs/inference.json."""
        found = self.config.get("irp_pipeline", {})
        if not isinstance(found, Mapping):
            raise BundleNotValid("irp_pipeline is not an object")
        return found

    @property
    def parameters(self) -> int:
        """Numbers in both networks."""
        return sum(t.numel() for weights in (self.segment, self.locate or {}) for t in weights.values())

    def build(self, stage: Stage) -> nn.Module:
        """A network with its weights as float32, ready to answer.

        Raises:
            NetworkNotOffered: not in the allow-list.
            WeightsDoNotFit: names or shapes differ.
        """
        definition = self.config.get(_DEFINITION[stage])
        weights = self.segment if stage == "segment" else self.locate
        if not isinstance(definition, Mapping) or weights is None:
            raise BundleNotValid(f"the bundle has no {stage} network")
        network = build_network(definition)
        try:
            network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        except RuntimeError:
            raise WeightsDoNotFit(f"models of the stage {stage}") from None
        return network.eval()
