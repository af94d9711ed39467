"""Model bundles: safe reading and writing, the pipeline runner, metrics. Training and inference use the same ones."""

from irp_bundle.archive import Limits, read_bundle, write_bundle
from irp_bundle.box import Found
from irp_bundle.bundle import Bundle, Stage
from irp_bundle.metrics import dice, surface_report_mm
from irp_bundle.network import build_network
from irp_bundle.pipeline import Declared, Engine, Pipeline, Report, torch_engine
from irp_bundle.window import Window, cut, normalise

__all__ = [
    "Bundle",
    "Declared",
    "Engine",
    "Found",
    "Limits",
    "Pipeline",
    "Report",
    "Stage",
    "Window",
    "build_network",
    "cut",
    "dice",
    "normalise",
    "read_bundle",
    "surface_report_mm",
    "torch_engine",
    "write_bundle",
]
