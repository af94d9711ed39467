"""The same OpenVINO network behind MLServer: python mlserver_server.py MODEL.xml HTTP_PORT GRPC_PORT.

Tensors travel as BYTES by gRPC, which MLServer's own codec calls much faster than lists of numbers; adaptive batching;
in the server's own process, for a worker process would copy every tensor twice more.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino as ov
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.settings import ModelParameters
from mlserver.types import InferenceResponse, ResponseOutput


class Network(MLModel):
    """One network; a request holds images as bytes."""

    async def load(self):
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.net = ov.Core().compile_model(self.settings.parameters.uri, "CPU", options)
        self.size = self.net.input(0).partial_shape[-1].get_length()
        self.thread = ThreadPoolExecutor(1)  # batches come while one runs; the network takes one at a time
        return True

    async def predict(self, payload):
        """Off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.answer, payload)

    def answer(self, payload):
        """Bytes -> bytes."""
        images = [np.frombuffer(raw, "<f4") for raw in payload.inputs[0].data.root]
        logits = self.net(np.stack(images).reshape(-1, 1, self.size, self.size))[0]
        data = [one.tobytes() for one in logits]
        output = ResponseOutput(name="logits", datatype="BYTES", shape=[len(data), 1], data=data)
        return InferenceResponse(model_name=self.name, outputs=[output])


async def main():
    """Serve."""
    settings = Settings(
        host="127.0.0.1",
        http_port=int(sys.argv[2]),
        grpc_port=int(sys.argv[3]),
        parallel_workers=0,
        metrics_endpoint=None,
        debug=False,
        grpc_max_message_length=1 << 30,
    )
    model = ModelSettings(
        name="network",
        implementation=Network,
        max_batch_size=8,
        max_batch_time=0.005,
        parameters=ModelParameters(uri=sys.argv[1]),
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())
