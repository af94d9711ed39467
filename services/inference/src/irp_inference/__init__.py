"""Promoted models and volumes come in, masks go out while the reader is looking. A restart loses nothing."""

import sys

# OpenVINO's converter tells its maker of each use, where it finds this package: nothing leaves a hospital unasked.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
