"""What you learn here: a promoted model answers, a newer one takes over between requests, a restart forgets nothing."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path

import numpy as np
import pytest
from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc as pb_grpc
from irp.oip import open_inference_pb2 as oip_pb
from irp.oip import open_inference_pb2_grpc as oip_grpc
from irp_chassis.auth import TokenMinter, act_as
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import RemoteError
from irp_kernel import decode_mask

from .room import WHO, World, a_project, a_volume, living, segment, until_version


async def test_a_promoted_model_answers_and_a_newer_one_takes_over_without_a_failed_request(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    volume = a_volume()
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(volume)
        await world.promote(1, seed=1)
        one = await until_version(client, world, 1, slices=[1], frames=[2])
        mask = decode_mask(one.mask)
        mask.geometry.require_same_grid(volume.geometry)
        assert mask.annotated.sum() == 2
        assert mask.annotated[2, 1].all()
        assert {"load", "locate", "segment", "post", "encode"} <= set(one.timings_ms)
        await world.promote(2, seed=2)
        served: set[int] = set()
        async with asyncio.timeout(60):
            while 2 not in served:  # every request in between is answered
                served.add((await segment(client, world, slices=[0])).provenance.model.version)
        assert served <= {1, 2}
        pinned = await segment(client, world, model=f"{world.model}@1", slices=[1], frames=[2])
        assert np.array_equal(decode_mask(pinned.mask).labels, mask.labels)
    async with living(service_settings, minter, tmp_path / "i.db") as client:  # a restart
        again = await until_version(client, world, 2)
        assert decode_mask(again.mask).annotated.all()


REFUSED = [
    ({"model": "nobody"}, "MODEL_UNKNOWN"),
    ({"version": 99}, "MODEL_UNKNOWN"),
    ({"model": "../etc"}, "BAD_IDENTIFIER"),
    ({"slices": [99]}, "NO_SUCH_SLICE"),
    ({"frames": [-1]}, "NO_SUCH_SLICE"),
    ({"series_uid": "2.25.1"}, "SERIES_UNKNOWN"),
    ({"options": pb.Options(test_time_augmentation=True)}, "AUGMENTATIONS_NOT_DECLARED"),
    ({"options": pb.Options(estimate=True), "algorithm": pb.Algorithm(name="threshold")}, "OPTIONS_NOT_OFFERED"),
]


async def test_what_cannot_be_answered_says_why(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(a_volume())
        await world.promote(1, seed=1)
        await until_version(client, world, 1, slices=[0])
        stub = pb_grpc.InferenceServiceStub(client.channel)
        for asked, reason in REFUSED:
            asked = {"model": world.model, "series_uid": world.uid, **asked}
            if "version" in asked:
                asked["model"] = f"{world.model}@{asked.pop('version')}"
            with pytest.raises(RemoteError) as refused:
                await client.call(stub.Segment, pb.SegmentRequest(project=a_project(), **asked))
            assert refused.value.reason == reason
        await until_version(client, world, 1, slices=[0])  # and goes on answering


async def test_how_sure_the_network_is_comes_with_the_labels_and_changes_none(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(a_volume())
        await world.promote(1, seed=1)
        asked = {"slices": [1], "frames": [2], "compact": True}
        plain = await until_version(client, world, 1, **asked)
        told = await segment(client, world, **asked, options=pb.Options(uncertainty=True))
        again = await segment(client, world, **asked)
    assert plain.labels == told.labels == again.labels
    assert not plain.uncertainty
    assert not again.uncertainty  # an answer with options is not remembered as one without
    rows, columns = told.labels.rows, told.labels.columns
    assert len(zlib.decompress(told.uncertainty)) == rows * columns
    assert 0 < told.estimate.dice < 1
    assert len(told.estimate.warnings) == len(told.estimate.warning_codes)
    assert "low-confidence" in told.estimate.warning_codes  # a network that never learnt knows that it guesses
    said = told.provenance.parameters
    assert said["segment.grid"] == "32x32"
    assert "low-confidence" in said["estimate.warnings"]
    assert any(key.startswith("estimate.dice.") for key in said)


async def test_the_open_inference_protocol_answers_logits(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(a_volume())
        await world.promote(1, seed=1)
        await until_version(client, world, 1, slices=[0])
        oip = RpcClient(client.oip_bind, minter)  # type: ignore[attr-defined]
        act_as(WHO)
        stub = oip_grpc.GRPCInferenceServiceStub(oip.channel)
        said = await oip.call(stub.ModelMetadata, oip_pb.ModelMetadataRequest(name=f"{world.model}.segment"))
        assert list(said.inputs[0].shape) == [-1, 1, 32, 32]
        image = np.random.default_rng(1).normal(size=(2, 1, 32, 32)).astype("<f4")
        request = oip_pb.ModelInferRequest(model_name=f"{world.model}.segment", raw_input_contents=[image.tobytes()])
        request.inputs.add(name="image", datatype="FP32", shape=image.shape)
        answer = await oip.call(stub.ModelInfer, request)
        assert list(answer.outputs[0].shape) == [2, 3, 32, 32]
        assert len(answer.raw_output_contents[0]) == 2 * 3 * 32 * 32 * 4
        request.raw_input_contents[0] = b"short"
        with pytest.raises(RemoteError, match="bytes do not fit"):
            await oip.call(stub.ModelInfer, request)
        await oip.close()
