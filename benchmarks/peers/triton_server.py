"""The same OpenVINO network behind Triton: python triton_server.py MODEL.xml HTTP_PORT GRPC_PORT.

The Triton of the wheel nvidia-pytriton, which has the Python backend and no OpenVINO backend: OpenVINO is called from
Python in Triton's own stub process, without PyTriton's detour through a further process. Dynamic batching.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytriton

CONFIG = """
name: "network"
backend: "python"
max_batch_size: 8
input [{ name: "image", data_type: TYPE_FP32, dims: [ 1, -1, -1 ] }]
output [{ name: "logits", data_type: TYPE_FP32, dims: [ -1, -1, -1 ] }]
instance_group [{ count: 1, kind: KIND_CPU }]
dynamic_batching { max_queue_delay_microseconds: 5000, preferred_batch_size: [ 8 ] }
parameters: { key: "xml", value: { string_value: "%s" } }
"""


def repository(folder: Path, xml: str) -> Path:
    """Triton's folder of one model."""
    model = folder / "models" / "network"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG % xml)
    shutil.copy(Path(__file__).with_name("triton_model.py"), model / "1" / "model.py")
    return model.parent


def backends(folder: Path, home: Path) -> Path:
    """The wheel's backends, with the stub of this interpreter where Triton looks for it."""
    version = "{}.{}".format(*sys.version_info[:2])
    shutil.copytree(home / "backends", folder / "backends")
    shutil.copy(home / "python_backend_stubs" / version / "triton_python_backend_stub", folder / "backends/python")
    return folder / "backends"


def main() -> None:
    """Become Triton."""
    site, home = Path(pytriton.__file__).parents[1], Path(pytriton.__file__).parent / "tritonserver"
    folder = Path(tempfile.mkdtemp(prefix="bench-triton-"))
    libraries = [str(site / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    os.environ["LD_LIBRARY_PATH"] = ":".join(libraries)
    # The stub finds its packages by the python that is first in the path.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = str(home / "bin/tritonserver")
    options = {
        "model-repository": repository(folder, sys.argv[1]),
        "backend-directory": backends(folder, home),
        "http-address": "127.0.0.1",
        "http-port": sys.argv[2],
        "grpc-address": "127.0.0.1",
        "grpc-port": sys.argv[3],
        "allow-metrics": "false",
        "log-info": "false",
    }
    os.execv(server, [server, *(f"--{name}={value}" for name, value in options.items())])


if __name__ == "__main__":
    main()
