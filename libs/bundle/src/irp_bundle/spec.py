"""`irp_pipeline` of configs/inference.json: how networks become one answer. Declared, not coded.

Every key has a default; an unknown key is refused, for a misspelt one would silently change results.
The table of keys for those who write bundles is in libs/bundle/README.md; `spec_reading.py` checks values.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from irp_bundle.program import Look, Program
from irp_bundle.prompts import PromptsSpec
from irp_bundle.symmetry import AS_STORED

SPEC_VERSION = 1

Fallback = Literal["neighbour", "centre"]
Scaling = Literal["zscore", "percentile", "clip", "none", "minmax", "standard"]
Over = Literal["slice", "frame"]
Blend = Literal["gaussian", "constant"]
Dimension = Literal["2d", "2.5d", "3d"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """How intensities of one crop become numbers that a network knows.

    Attributes:
        kind: "zscore": clip to the percentiles, subtract the mean, divide by the standard deviation;
            "percentile": map the percentiles to 0 and 1 and clip;
            "clip": map `a_min` to 0 and `a_max` to 1 and clip (MONAI's ScaleIntensityRange);
            "none": as stored;
            "minmax": map the least value to 0 and the greatest to 1 (MONAI's ScaleIntensity);
            "standard": subtract the mean, divide by the standard deviation of all pixels (NormalizeIntensity).
        low: lower percentile, 0 to 50. Pixels equal to the slice's minimum (padding, air) are left out.
        high: upper percentile, 50 to 100.
        a_min: for "clip": what becomes 0, in the image's own units.
        a_max: for "clip": what becomes 1.
        over: for "minmax" and "standard": the "slice", or the whole "frame", all its slices together.
        nonzero: for "standard": zeros stay, and do not count.
    """

    kind: Scaling = "zscore"
    low: float = 1.0
    high: float = 99.0
    a_min: float = 0.0
    a_max: float = 1.0
    over: Over = "slice"
    nonzero: bool = False

    @property
    def absolute(self) -> bool:
        """True if the image's own units matter."""
        return self.kind in {"clip", "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateSpec:
    """Stage 1: find the left ventricle in the whole slice.

    Attributes:
        size: pixels per side of the square grid on which the whole slice is looked at.
        spacing: mm per pixel of that grid, about the slice's middle; 0 = the whole slice, whatever its scale.
        normalise: intensities.
        threshold: probability from which a pixel counts as left ventricle.
        min_pixels: least area of the found region on the grid; smaller is not found.
        look_again: side of the second look in box sizes, so that the field of view plays no part; 0 = one look.
        frames: key frames, evenly spread over the cycle, on which a cine is located.
        margin: side of the crop in box sizes.
        fallback: where a slice's own box is missing or far off: the line through its neighbours' boxes, or the centre.
    """

    size: int = 128
    spacing: float = 0.0
    normalise: Normalise = Normalise()
    threshold: float = 0.5
    min_pixels: int = 20
    look_again: float = 2.8
    frames: int = 2
    margin: float = 2.4
    fallback: Fallback = "neighbour"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input of the network: (channels, rows, columns)."""
        return 1, self.size, self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """Stage 2: segment the crop.

    Attributes:
        size: pixels per side of the crop's grid; in 3D of a patch.
        spacing: mm per pixel of that grid, about the window's middle; 0 = the window fills the grid.
        normalise: intensities; per slice, in 3D over the whole region.
        dimension: "2d": slice by slice; "2.5d": neighbouring slices of the same frame are further channels;
            "3d": patches slide over the region that holds every slice's window.
        neighbours: for "2.5d": slices on each side; the outermost slice stands for those beyond it.
        depth: for "3d": slices per patch.
        slice_spacing: for "3d": mm between slices of the grid; 0 = slices as they are.
        overlap: for "3d" and `slide`: of neighbouring patches, as a share of the patch.
        slide: for "2d" without stage 1: patches slide over the whole slice at its own pixels; see tiles.py.
        blend: for `slide`: how overlapping patches are weighed: "gaussian", the middle more, or "constant".
    """

    size: int = 128
    spacing: float = 0.0
    normalise: Normalise = Normalise()
    dimension: Dimension = "2d"
    neighbours: int = 1
    depth: int = 8
    slice_spacing: float = 0.0
    overlap: float = 0.5
    slide: bool = False
    blend: Blend = "gaussian"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input of the network: (channels, rows, columns) or (channels, slices, rows, columns)."""
        channels = 2 * self.neighbours + 1 if self.dimension == "2.5d" else 1
        return (channels, *((self.depth,) if self.dimension == "3d" else ()), self.size, self.size)

    @property
    def look(self) -> Look:
        """For `slide`: how patches slide."""
        return Look(by="patches", size=(self.size, self.size), overlap=(self.overlap,), blend=self.blend)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSpec:
    """What is done to the labels of each slice, in this order.

    Attributes:
        near_previous: pieces of the left ventricle whose middle is farther from the line of the series than this,
            in box sizes, are something else (a stomach) and go; 0 = off. Needs stage 1.
        one_pool: only the largest piece of blood pool is the left ventricle's; others become what surrounds them.
        largest_component: keep the largest connected piece of the left ventricle and of each further structure.
        fill_holes: holes inside the left ventricle become what surrounds them.
        one_ring: blood pool that touches the outside of its myocardium gets no leak: see `post.py`.
    """

    near_previous: float = 0.0
    one_pool: bool = False
    largest_component: bool = True
    fill_holes: bool = True
    one_ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """The whole pipeline.

    Attributes:
        orientation: how the networks want slices to lie: "as-stored", "transposed", or two letters of Patient
            Orientation (0020,0020), where columns lead and where rows lead, such as "LF"; of the eight ways to lay a
            slice by mirrors and quarter turns, the nearest.
        spacing_range: (least, greatest) mm per pixel within the slice that the networks were made for; beyond it the
            reader is warned. (0, 0) = not said.
        locate: stage 1.
        segment: stage 2.
        augment: under which mirrors and turns stage 2 is as good as without: test-time augmentation looks at these too.
        post: after both.
        prompts: how the model looks at marks; None = it takes none.
        program: instead of all of the above but `spacing_range` and `post`: what is done to an image, step by step.
        version: of this format.
    """

    orientation: str = AS_STORED
    spacing_range: tuple[float, float] = (0.0, 0.0)
    locate: LocateSpec = LocateSpec()
    segment: SegmentSpec = SegmentSpec()
    augment: tuple[str, ...] = ()
    post: PostSpec = PostSpec()
    prompts: PromptsSpec | None = None
    program: Program | None = None
    version: int = SPEC_VERSION

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input of stage 2's network: (channels, *size)."""
        return self.segment.input_shape if self.program is None else self.program.input_shape

    @property
    def looks_at_frames(self) -> bool:
        """Whatever slice is asked for, stage 2 looks at its whole frame."""
        return self.program is not None and self.program.unit == "frame"

    @property
    def dimension(self) -> Dimension:
        """What stage 2's network sees at once."""
        if self.program is None:
            return self.segment.dimension
        return "3d" if len(self.program.look.size) == 3 else "2d"

    def to_json(self) -> dict[str, Any]:
        """As it stands in configs/inference.json."""
        document = asdict(self)
        for stage in ("locate", "segment"):
            document[stage]["size"] = [document[stage]["size"]] * 2
            _leave_out(document[stage]["normalise"], Normalise(), "over", "nonzero")
        _leave_out(document["segment"], SegmentSpec(), "slide", "blend")
        for key in ("spacing_range", "augment"):
            document[key] = list(document[key])
        for key in ("prompts", "program"):  # platforms that do not know a key go on reading models without it
            part = getattr(self, key)
            document.pop(key)
            document |= {key: part.to_json()} if part is not None else {}
        return document


def _leave_out(document: dict[str, Any], defaults: object, *keys: str) -> None:
    """Later keys are said only where they say something: platforms that do not know them go on reading the rest."""
    for key in keys:
        if document[key] == getattr(defaults, key):
            del document[key]
