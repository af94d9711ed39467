"""What you learn here: a network that comes as ONNX or TorchScript answers like any other, or is refused if it lies."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import torch
from irp_bundle import build_network, read_bundle, write_bundle
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.export_child import serve
from irp_inference.adapters.exporter import Exporter
from irp_inference.domain.errors import EngineDisagrees, PassFailed
from numpy.typing import NDArray

from tests.bundle.builders import NET
from tests.bundle.exported import STRUCTURES, a_convolution, exported_bundle, onnx_of, saved, script_of

ONNX, SCRIPT = "models/model.onnx", "models/model.ts"
IMAGES: NDArray[np.float32] = np.random.default_rng(3).normal(size=(3, 1, 32, 32)).astype(np.float32)


def expected(network: torch.nn.Module) -> NDArray[np.float32]:
    with torch.inference_mode():
        answer: NDArray[np.float32] = network(torch.from_numpy(IMAGES)).numpy()
        return answer


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
async def engines(cache: Path) -> AsyncIterator[Engines]:
    engines = Engines(threads=1, cache=cache)
    yield engines
    await engines.close()


async def opened(engines: Engines, data: bytes) -> ProcessNets:
    return await engines.open(data, read_bundle(data))


class Uneven(torch.nn.Module):
    """OpenVINO cannot know how often it goes round."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = a_convolution()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: list[torch.Tensor] = []
        row = 0
        while row < x.size(0):
            answers.append(self.inner(x[row : row + 1]))
            row += 1
        return torch.cat(answers)


AS_ONNX = exported_bundle({ONNX: onnx_of(a_convolution(), rows=1)})  # made for one input; takes any number
AS_SCRIPT = exported_bundle({SCRIPT: script_of(a_convolution())})
AS_UNEVEN_SCRIPT = exported_bundle({SCRIPT: saved(torch.jit.script(Uneven().eval()))})


async def test_exports_answer_what_their_network_answers_by_whichever_engine_knows_them(engines: Engines) -> None:
    for data, engine in ((AS_ONNX, "openvino"), (AS_SCRIPT, "openvino"), (AS_UNEVEN_SCRIPT, "torch")):
        nets = await opened(engines, data)
        assert nets.engine == engine
        assert np.abs(await nets.forward("segment", IMAGES) - expected(a_convolution())).max() < 1e-4
        await nets.close()


async def test_who_asks_for_torch_gets_it_where_torch_knows_the_network(cache: Path) -> None:
    engines = Engines("torch", threads=1, cache=cache)
    for data, engine in ((AS_SCRIPT, "torch"), (AS_ONNX, "openvino")):
        nets = await opened(engines, data)
        assert nets.engine == engine
        assert np.abs(await nets.forward("segment", IMAGES) - expected(a_convolution())).max() < 1e-4
    await engines.close()


class Mixing(torch.nn.Module):
    """Its answer for one image depends on the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x - x.mean(0, keepdim=True), x], 1)


AS_MIXING = exported_bundle({SCRIPT: saved(torch.jit.script(Mixing().eval()))})


async def test_a_bundle_whose_network_and_export_differ_is_refused(engines: Engines) -> None:
    torch.manual_seed(1)
    network = build_network(NET).eval()
    config = {"network_def": NET, "irp_pipeline": {"segment": {"size": 32}}}

    def carrying(exports: dict[str, bytes]) -> bytes:
        about = {"structures": STRUCTURES}
        return write_bundle("heart", network.state_dict(), None, config, about, "", "MIT", exports=exports)

    halves = build_network(NET).eval()
    halves.load_state_dict({name: tensor.half().float() for name, tensor in network.state_dict().items()})
    nets = await opened(engines, carrying({SCRIPT: script_of(halves)}))
    assert np.abs(await nets.forward("segment", IMAGES) - expected(halves)).max() < 1e-3
    for lie in ({SCRIPT: script_of(a_convolution())}, {ONNX: onnx_of(a_convolution())}):
        with pytest.raises(EngineDisagrees, match="weights and"):
            await opened(engines, carrying(lie))
    with pytest.raises(EngineDisagrees, match="torchscript and onnx"):
        await opened(engines, exported_bundle({SCRIPT: script_of(a_convolution(1)), ONNX: onnx_of(a_convolution(2))}))
    with pytest.raises(EngineDisagrees, match="another shape"):
        await opened(engines, exported_bundle({SCRIPT: script_of(a_convolution(channels=4))}))


async def test_an_exporting_process_that_dies_or_hangs_is_a_model_that_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(AS_ONNX)
    hurried = Exporter(timeout_s=0.1)
    with pytest.raises(PassFailed, match="took too long"):
        await hurried(str(path), str(tmp_path), "0", 1 << 30)  # starting takes longer
    assert hurried.pid is None
    exporter = Exporter()
    asked = asyncio.create_task(exporter(str(path), str(tmp_path), "0", 1 << 30))
    async with asyncio.timeout(10):
        while exporter.pid is None:
            await asyncio.sleep(0.001)
    os.kill(exporter.pid, signal.SIGKILL)
    with pytest.raises(PassFailed, match="ended"):
        await asked
    await exporter.close()


def test_the_exporting_process_says_what_was_wrong_in_its_own_words(tmp_path: Path) -> None:
    answers, questions = io.StringIO(), io.StringIO()
    for name, data in (("torn", b"PK torn"), ("mixing", AS_MIXING)):
        (tmp_path / name).write_bytes(data)
        question = {"bundle_path": str(tmp_path / name), "cache": str(tmp_path), "digest": name, "limit_bytes": 1}
        questions.write(json.dumps(question) + "\n")
    questions.seek(0)
    serve(questions, answers)
    torn, mixing = map(json.loads, answers.getvalue().splitlines())
    assert torn == {"error": "BundleBroken", "detail": "the bundle is not a readable ZIP"}
    assert mixing["error"] == "EngineDisagrees"
    assert "one input at a time" in mixing["detail"]
