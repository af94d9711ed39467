"""Model bundles: safe reading and writing, transforms, the pipeline runner, metrics."""

from irp_bundle.archive import DEFAULT_LIMITS, Limits
from irp_bundle.boxes import LEFT_VENTRICLE, Box, Located, agree, box_of, left_ventricle, windows_of_truth
from irp_bundle.bundle import BACKGROUND, Bundle, read_bundle, write_bundle
from irp_bundle.errors import (
    BundleBroken,
    BundleTooLarge,
    BundleUnsafe,
    ChannelsNotKnown,
    NetworkNotAllowed,
    PipelineNotDerived,
    PipelineNotValid,
    PromptsNeeded,
    RegionTooLarge,
    WeightsMissing,
)
from irp_bundle.estimate import WARNINGS, Estimate
from irp_bundle.interactive import Features, InteractiveSteps, View
from irp_bundle.intervals import Interval, interval_over_patients, ratio_over_patients
from irp_bundle.metrics import (
    Distances,
    dice,
    dice_per_structure,
    dice_where_judged,
    distances_per_structure,
    hd95,
    mean_surface_distance,
    surface_distances,
)
from irp_bundle.networks import Stage, build_network
from irp_bundle.pipeline import AugmentationsNotDeclared, NoSuchSlice, PipelineSteps
from irp_bundle.prepare import ImageNotFinite, as_images, normalise, prepare_locate, prepare_segment
from irp_bundle.prompts import Kind, PromptsSpec, prompt_maps
from irp_bundle.runner import Pipeline
from irp_bundle.sampling import paste, sample, sample_labels, whole_windows
from irp_bundle.segmented import PLAIN, Options, PipelineReport, Segmented
from irp_bundle.spec import LocateSpec, Normalise, PipelineSpec, PostSpec, SegmentSpec
from irp_bundle.spec_reading import read_spec
from irp_bundle.steps import Engine, Forward, Steps, complete
from irp_bundle.symmetry import AS_STORED, SYMMETRIES
from irp_bundle.torch_engine import TorchEngine

__all__ = [
    "AS_STORED",
    "BACKGROUND",
    "DEFAULT_LIMITS",
    "LEFT_VENTRICLE",
    "PLAIN",
    "SYMMETRIES",
    "WARNINGS",
    "AugmentationsNotDeclared",
    "Box",
    "Bundle",
    "BundleBroken",
    "BundleTooLarge",
    "BundleUnsafe",
    "ChannelsNotKnown",
    "Distances",
    "Engine",
    "Estimate",
    "Features",
    "Forward",
    "ImageNotFinite",
    "InteractiveSteps",
    "Interval",
    "Kind",
    "Limits",
    "LocateSpec",
    "Located",
    "NetworkNotAllowed",
    "NoSuchSlice",
    "Normalise",
    "Options",
    "Pipeline",
    "PipelineNotDerived",
    "PipelineNotValid",
    "PipelineReport",
    "PipelineSpec",
    "PipelineSteps",
    "PostSpec",
    "PromptsNeeded",
    "PromptsSpec",
    "RegionTooLarge",
    "SegmentSpec",
    "Segmented",
    "Stage",
    "Steps",
    "TorchEngine",
    "View",
    "WeightsMissing",
    "agree",
    "as_images",
    "box_of",
    "build_network",
    "complete",
    "dice",
    "dice_per_structure",
    "dice_where_judged",
    "distances_per_structure",
    "hd95",
    "interval_over_patients",
    "left_ventricle",
    "mean_surface_distance",
    "normalise",
    "paste",
    "prepare_locate",
    "prepare_segment",
    "prompt_maps",
    "ratio_over_patients",
    "read_bundle",
    "read_spec",
    "sample",
    "sample_labels",
    "surface_distances",
    "whole_windows",
    "windows_of_truth",
    "write_bundle",
]
