"""The same OpenVINO network behind MONAI Label: python monailabel_server.py MODEL.xml PORT.

Its own command starts the server, its own REST answers (`POST /infer/network`). MONAI Label takes and answers files:
here an array as NumPy writes it, so that nothing is measured but its way. This file is the app, too: it is copied into
the folder from which MONAI Label reads one.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.main import Main


class Network(InferTask):
    """A file in, a file out."""

    def __init__(self):
        super().__init__(InferType.SEGMENTATION, ["lv_blood_pool"], 2, "the network of the benchmark")
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.net = ov.Core().compile_model(os.environ["BENCH_NETWORK"], "CPU", options)

    def is_valid(self):
        return True

    def __call__(self, request):
        logits = self.net(np.load(request["image"]))[0]
        number, path = tempfile.mkstemp(".npy")
        with os.fdopen(number, "wb") as file:
            np.save(file, logits)
        return path, {}


class Bench(MONAILabelApp):
    """One network."""

    def init_infers(self):
        return {"network": Network()}

    def init_strategies(self):
        return {}


if __name__ == "__main__":
    os.environ["BENCH_NETWORK"] = sys.argv[1]
    folder = Path(
        tempfile.mkdtemp(prefix="monailabel-", dir=Path(sys.argv[1]).parent)
    )  # goes with the network's folder
    app, studies = folder / "app", folder / "studies"
    app.mkdir()
    studies.mkdir()
    shutil.copy(__file__, app / "main.py")
    where = ["--host", "127.0.0.1", "--port", sys.argv[2], "--log_level", "error"]
    sys.argv[1:] = ["start_server", "--app", str(app), "--studies", str(studies), *where]
    Main().run()
