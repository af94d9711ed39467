"""Triton's Python backend: OpenVINO on the requests of one dynamic batch at once."""

import json

import numpy as np
import openvino as ov
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """As Triton's Python backend wants it."""

    def initialize(self, args):
        """Compile."""
        xml = json.loads(args["model_config"])["parameters"]["xml"]["string_value"]
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.net = ov.Core().compile_model(xml, "CPU", options)

    def execute(self, requests):
        """One pass; each request gets its rows."""
        images = [pb_utils.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        logits = self.net(images[0] if len(images) == 1 else np.concatenate(images))[0]
        parts = np.split(logits, np.cumsum([len(image) for image in images])[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("logits", np.ascontiguousarray(p))]) for p in parts]
