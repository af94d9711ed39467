"""The same OpenVINO network behind LitServe: python litserve_server.py MODEL.xml PORT."""

import base64
import sys

import litserve
import numpy as np
import openvino as ov


class Network(litserve.LitAPI):
    """Tensors as base64 in JSON, for LitServe reads JSON or forms."""

    def setup(self, device):
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.net = ov.Core().compile_model(sys.argv[1], "CPU", options)

    def decode_request(self, request):
        return np.frombuffer(base64.b64decode(request["data"]), "<f4").reshape(request["shape"])

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, images):
        return self.net(images)[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"data": base64.b64encode(output.tobytes()).decode(), "shape": list(output.shape)}


if __name__ == "__main__":
    api = Network(max_batch_size=8, batch_timeout=float(sys.argv[3]) if len(sys.argv) > 3 else 0.005)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False, log_level="error"
    )
