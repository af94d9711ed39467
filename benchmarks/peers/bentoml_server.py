"""The same OpenVINO network behind BentoML: BENCH_NETWORK=MODEL.xml bentoml serve bentoml_server:Network --port PORT.

Adaptive batching as its documentation configures it. Tensors travel as base64 in JSON: the public door refuses
BentoML's own binary form, and lists of numbers would be far slower. The latency limit is its default: a smaller one
refuses requests under load.
"""

import base64
import os

import bentoml
import numpy as np
import openvino as ov


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 64})
class Network:
    """One worker, for OpenVINO uses every core."""

    def __init__(self):
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.net = ov.Core().compile_model(os.environ["BENCH_NETWORK"], "CPU", options)
        self.size = self.net.input(0).partial_shape[-1].get_length()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=8, max_latency_ms=60_000)
    def predict(self, images: list[str]) -> list[str]:
        """Images -> logits."""
        arrays = [np.frombuffer(base64.b64decode(one), "<f4") for one in images]
        logits = self.net(np.stack(arrays).reshape(-1, 1, self.size, self.size))[0]
        return [base64.b64encode(one).decode() for one in logits]
