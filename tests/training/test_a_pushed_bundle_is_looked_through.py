"""What you learn here: a bundle from outside is opened and run in a process that can do nothing else."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from engines import BOUNDS
from irp_bundle import BundleUnsafe, NetworkNotAllowed, TorchEngine, read_bundle
from irp_kernel.errors import IrpError
from irp_training.adapters.sandbox import Sandbox
from irp_training.adapters.sandbox_bounds import CHILD, SandboxBounds
from irp_training.adapters.sandbox_engine import ConfinedEngine, engines_of
from irp_training.adapters.worker import ProcessWorker
from irp_training.domain.errors import (
    InspectionFailed,
    InspectionTooLarge,
    InspectionTooLong,
    NetworkMisbehaves,
)
from irp_training.domain.pushing.behaviour import observe
from irp_training.domain.pushing.inspection import Check, inspect
from irp_training.domain.pushing.pushed import about_from_report
from precision_builders import a_threshold, held_out
from torch import Tensor, nn
from training_builders import as_stream

from tests.bundle.exported import a_convolution, exported_bundle, onnx_of, script_of

GIB = 1 << 30


def changed(path: str, change: Callable[[bytes], bytes]) -> bytes:
    """The bundle with one file of it changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_threshold())) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry, change(data) if entry.filename.endswith(path) else data)
    return out.getvalue()


def a_pickle(_: bytes) -> bytes:
    """Weights that would run a command."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("import os; os.system('true')",))

    weights = io.BytesIO()
    torch.save({"x": Evil()}, weights)
    return weights.getvalue()


def a_command(config: bytes) -> bytes:
    """A configuration whose network is a program."""
    document = json.loads(config)
    document["network_def"] = {"_target_": "os.system", "command": "$import os"}
    return json.dumps(document).encode()


def saying(*lines: str, then: str = "") -> tuple[str, ...]:
    """A process in the sandbox's place that says these lines."""
    told = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    return (sys.executable, "-I", "-c", f"import sys, time\n{told}{then}")


async def refused(*command: str, seconds: float = 30.0) -> IrpError | None:
    bounds = SandboxBounds(memory_bytes=GIB, seconds=seconds, command=command)
    return (await Sandbox(bounds)(a_threshold())).problem


def test_a_report_names_what_was_checked_and_what_nobody_reads() -> None:
    checks: list[Check] = []
    report = inspect(a_threshold(), checks.append)
    assert [check.name for check in checks] == [
        "archive",
        "documents",
        "pipeline",
        "licence",
        "network model",
        "not used",
    ]
    network = report["networks"]["segment"]
    assert (network["inputs"], network["answers"], network["parameters"]) == ((1, 64, 64), (2, 64, 64), 134)
    assert set(network["ms_per_input"]) == {"1", "8"}
    assert "datalist" in report["not_used"]["keys"]  # what MONAI's own tools want
    assert about_from_report(json.loads(json.dumps(report))).structures == ("lv_blood_pool",)


def test_how_far_a_network_sees_is_measured() -> None:
    assert observe(a_convolution(), (1, 16, 16), 3).sees == (3, 3)


def test_an_onnx_file_is_tried_out_as_any_other_network() -> None:
    checks: list[Check] = []
    report = inspect(exported_bundle({"models/model.onnx": onnx_of(a_convolution())}), checks.append)
    network = report["networks"]["segment"]
    assert (network["kind"], network["answers"], network["parameters"]) == ("onnx", (3, 32, 32), 30)
    assert (network["sees"], network["other_sizes"]) == ((0, 0), False)
    assert next(check.state for check in checks if check.name == "network model") == "passed"
    with pytest.raises(NetworkMisbehaves):
        torn = onnx_of(a_convolution()).replace(b"Conv", b"Cnov")  # an operator that nobody knows
        inspect(exported_bundle({"models/model.onnx": torn}), lambda check: None)


class Noisy(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images, torch.rand_like(images)], dim=1)


class Together(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images, images - images.mean(dim=0, keepdim=True)], dim=1)


class Infinite(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images, 1 / images], dim=1)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Noisy(), "differently"),
        (Together(), "others of its batch"),
        (Infinite(), "not finite"),
        (nn.Conv2d(1, 3, 1), "3 x 16 x 16"),
        (nn.Conv2d(1, 2, 3), "2 x 14 x 14"),
        (nn.Conv2d(4, 2, 1), "cannot compute"),
    ],
)
def test_a_network_that_does_not_do_what_the_bundle_says_is_refused(network: nn.Module, says: str) -> None:
    with pytest.raises(NetworkMisbehaves, match=says):
        observe(network, (1, 16, 16), 2)


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [("model.pt", a_pickle, BundleUnsafe), ("inference.json", a_command, NetworkNotAllowed)],
)
def test_nothing_of_a_bundle_is_executed(path: str, change: Callable[[bytes], bytes], error: type[IrpError]) -> None:
    with pytest.raises(error):
        inspect(changed(path, change), lambda check: None)


async def test_a_hostile_bundle_is_refused_with_its_reason_and_the_checks_before_it() -> None:
    found = await Sandbox(BOUNDS)(changed("model.pt", a_pickle))
    assert isinstance(found.problem, BundleUnsafe)
    said = found.document()
    assert not said["passed"]
    assert [(check["name"], check["state"]) for check in said["checks"]] == [
        ("archive", "passed"),
        ("BUNDLE_UNSAFE", "failed"),
    ]


async def test_a_bundle_of_code_is_judged_on_images_where_it_can_reach_nothing() -> None:
    done, bright = list[int](), nn.Conv2d(1, 3, 1)  # two standard deviations and more are blood pool
    bright.load_state_dict(
        {"weight": torch.tensor([-1.0, 1.0, 0.0]).view(3, 1, 1, 1), "bias": torch.tensor([2.0, -2.0, -9.0])}
    )

    async def listen(count: int) -> None:
        done.append(count)

    data = exported_bundle({"models/model.ts": script_of(bright.eval())})
    found = await ProcessWorker("cpu", BOUNDS).appraise(data, as_stream(held_out()), listen)
    assert done == [1, 2]
    assert all(case["lv_blood_pool"] > 0.8 for case in found)


@pytest.mark.parametrize("openvino", [False, True])
def test_networks_answer_from_the_sandbox_what_they_answer_here(openvino: bool) -> None:
    inputs = np.random.default_rng(0).normal(size=(11, 1, 64, 64)).astype(np.float32)
    here = TorchEngine(read_bundle(a_threshold()))("segment", inputs)
    engine = ConfinedEngine(a_threshold(), BOUNDS, openvino=openvino)
    try:
        for _ in range(2):
            assert np.allclose(engine("segment", inputs), here, atol=1e-4)
    finally:
        engine.close()


READY = '{"shape": []}'
LIES = {
    "another number of answers": saying(READY, '{"shape": [2, 3]}', then="print('x' * 100)"),
    "fewer numbers": saying(READY, '{"shape": [1, 3]}', then="print('x' * 4)"),
    "no numbers": saying(READY, '{"shape": 7}'),
    "a negative shape": saying(READY, '{"shape": [1, -3]}'),
    "more than anybody can hold": saying(READY, '{"shape": [1, 1000000, 1000000]}'),
    "no object": saying(READY, "[]"),
    "no end of a line": saying(READY, then="sys.stdout.write('x' * (1 << 20))"),
    "nothing": saying(READY),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_numbers_from_the_sandbox_are_believed_in_their_form_only(lie: tuple[str, ...]) -> None:
    bounds = SandboxBounds(memory_bytes=GIB, seconds=30, command=lie)
    with pytest.raises(InspectionFailed), engines_of([a_threshold()], "cpu", bounds, from_outside=True) as models:
        ((_, engine),) = models
        engine("segment", np.zeros((1, 1, 64, 64), np.float32))


def test_a_pass_that_does_not_end_is_ended_and_what_the_sandbox_refuses_is_told() -> None:
    hangs = SandboxBounds(memory_bytes=GIB, seconds=0.5, command=saying(READY, then="time.sleep(600)"))
    with (
        engines_of([a_threshold()], "cpu", hangs, from_outside=True) as ((_, engine),),
        pytest.raises(InspectionTooLong),
    ):
        engine("segment", np.zeros((1, 1, 64, 64), np.float32))
    full = SandboxBounds(memory_bytes=GIB, seconds=30, command=saying('{"refused": "memory"}'))
    with pytest.raises(InspectionTooLarge):
        ConfinedEngine(a_threshold(), full, openvino=False)
    with pytest.raises(BundleUnsafe):
        ConfinedEngine(changed("model.pt", a_pickle), BOUNDS, openvino=False)


async def test_a_sandbox_that_hangs_is_killed_and_one_that_ends_or_lies_is_not_believed() -> None:
    endless = "time.sleep(600)"
    assert isinstance(await refused(*saying(then=endless), seconds=0.5), InspectionTooLong)
    assert isinstance(await refused(*saying(then="sys.exit(1)")), InspectionFailed)
    assert isinstance(await refused(*saying(then="print('x' * (2 << 20))")), InspectionFailed)
    assert isinstance(await refused(*saying('{"refused": "memory"}')), InspectionTooLarge)
    assert isinstance(await refused(*saying('{"refused": "UNAVAILABLE"}')), InspectionFailed)
    told = '{"report": {"checks": [], "passed": 1}, "held": {"files": true, "system_calls": false}}'
    found = await Sandbox(SandboxBounds(memory_bytes=GIB, seconds=30, command=saying(told)))(b"")
    assert [check["name"] for check in found.document()["checks"]] == ["sandbox"]
    assert found.document()["passed"] is True
    bars = found.checks[-1]
    assert (bars.state, bars.says) == ("noted", "held by files; not there: namespace, system_calls")
    with pytest.raises(InspectionFailed):
        about_from_report({"about": {"structures": ["a name of somebody"]}})
    assert CHILD[1] == "-I"  # nothing of the room's environment or folder is imported
