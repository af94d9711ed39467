"""What you learn here: in a cluster a run is a volume and three Jobs, and the container's own pod has no rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from container_builders import SOCKETS, sockets, some_weights
from fake_cluster import Cluster as FakeCluster
from irp_chassis.objects import PARCELS, S3Objects
from irp_chassis.settings import ServiceSettings
from irp_kernel import ObjectRef
from irp_kernel.errors import Unavailable
from irp_training.adapters.kubernetes_manifests import PART, WAITING_S
from irp_training.adapters.kubernetes_runtime import Cluster, KubernetesRuntime
from irp_training.app.answer_with_container import AnswerWithContainer, ContainerAnswer
from irp_training.domain.container_errors import (
    ContainerFailed,
    ContainerOutOfMemory,
    ContainerTimeLimit,
    OutputNotSafe,
    RuntimeMissing,
    RuntimeRefused,
)
from irp_training.domain.containers.container import Container, Ended
from irp_training.domain.containers.phantom import phantom
from training_builders import a_ref

REFERENCE = f"registry.local/heart@sha256:{'a' * 64}"


class World:
    """A runtime before a cluster."""

    def __init__(self, folder: Path, settings: ServiceSettings) -> None:
        (folder / "token").write_text("who we are\n")
        self.cluster, self.objects = FakeCluster(folder), S3Objects("irp-containers", settings)
        at = Cluster(
            address=self.cluster.address,
            token=folder / "token",
            authority=None,
            namespace="openirp-containers",
            carrier="openirp/training",
        )
        self.runtime = KubernetesRuntime(self.objects, at, look_s=0.01, waiting_s=2.0)
        self.ends: list[Ended] = []

    async def answer(
        self, reference: str = REFERENCE, frames: int = 1, model: ObjectRef | None = None, **limits: int
    ) -> ContainerAnswer:
        container = Container(
            name="heart",
            version=1,
            digest="d" * 64,
            image="1" * 64,
            archive=a_ref(),
            sockets=sockets(limits=SOCKETS["limits"] | limits),
            actor="",
            created_at="",
            reference=reference,
            model=model,
            model_bytes=7 if model else 0,
        )

        async def tell(done: int, of: int, ended: Ended) -> None:
            self.ends.append(ended)

        return await AnswerWithContainer(self.runtime)(container, phantom(frames), f"run-{'e' * 32}", tell)

    async def left(self) -> list[str]:
        """What is still in the object store."""
        made = {d["metadata"]["name"] for d in self.cluster.created if d["kind"] == "PersistentVolumeClaim"}
        found = [await self.objects.keys(project=PARCELS, entity=PARCELS, id=name) for name in made]
        return [key for keys in found for key in keys]


@pytest.fixture
async def world(tmp_path: Path, service_settings: ServiceSettings) -> AsyncIterator[World]:
    world = World(tmp_path, service_settings)
    await world.objects.ensure_bucket()
    yield world
    world.cluster.stop()


async def test_files_go_there_and_come_back_and_nothing_is_left(world: World) -> None:
    answer = await world.answer(frames=2)
    assert np.array_equal(answer.mask.labels == 1, phantom(2).array > 200)
    assert [(end.runtime, end.seconds, end.said) for end in world.ends] == [
        ("kubernetes v1.37.0", 3.0, "the last line")
    ] * 2
    kinds = [document["kind"] for document in world.cluster.created]
    assert kinds == ["PersistentVolumeClaim", "Job", "Job", "Job"] * 2
    assert world.cluster.there == {}
    assert await world.left() == []


async def test_weights_come_by_an_address_of_their_own_and_lie_where_the_contract_says(world: World) -> None:
    where = {"project": "registry", "entity": "container", "id": "heart", "kind": "model"}
    model = await world.objects.put(some_weights(), **where, media_type="application/x-tar", extension="tar")
    await world.answer(model=model)
    assert (world.cluster.volume / "run/model/net/weights.bin").read_bytes() == b"weights"
    algorithm = next(d for d in world.cluster.created if d["metadata"]["name"].endswith("-algorithm"))
    mounts = algorithm["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "work", "mountPath": "/opt/ml/model", "subPath": "run/model", "readOnly": True} in mounts


async def test_the_container_s_pod_has_no_rights_and_no_address(world: World) -> None:
    await world.answer()
    jobs = [document for document in world.cluster.created if document["kind"] == "Job"]
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"] == container["resources"]["requests"]
    _, algorithm, _ = jobs
    assert algorithm["spec"]["activeDeadlineSeconds"] == 20 + WAITING_S
    assert algorithm["spec"]["backoffLimit"] == 0
    (container,) = algorithm["spec"]["template"]["spec"]["containers"]
    assert container["image"] == REFERENCE
    assert not any("IRP_" in variable["name"] or "http" in variable["value"] for variable in container["env"])
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {"/input": True, "/output": False, "/tmp": False}


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ({"exitCode": 3}, ContainerFailed),
        ({"exitCode": 137, "reason": "OOMKilled"}, ContainerOutOfMemory),
        ({"exitCode": 137, "job": "DeadlineExceeded", "seconds": 21}, ContainerTimeLimit),
        ({"exitCode": 137, "job": "DeadlineExceeded", "seconds": 19}, Unavailable),  # it began late
    ],
)
async def test_how_it_ended_is_told_in_the_same_words_as_on_one_machine(
    world: World, ends: dict[str, Any], error: type[Exception]
) -> None:
    world.cluster.ends = ends
    with pytest.raises(error):
        await world.answer()
    assert world.cluster.there == {}
    assert await world.left() == []


async def test_a_container_s_time_counts_from_its_start_however_long_it_waited(world: World) -> None:
    world.cluster.waits_s = 1.2
    await world.answer(time_s=1)
    assert [end.timed_out for end in world.ends] == [False]


async def test_a_container_that_runs_for_too_long_is_ended_and_its_last_words_are_kept(world: World) -> None:
    world.cluster.endless = True
    with pytest.raises(ContainerTimeLimit):
        await world.answer(time_s=1)
    (end,) = world.ends
    assert (end.said, end.timed_out, end.seconds > 1) == ("the last line", True, True)
    assert world.cluster.there == {}
    assert await world.left() == []


@pytest.mark.parametrize("ends", [{}, {"exitCode": 137, "job": "DeadlineExceeded"}])
async def test_what_never_started_is_the_cluster_s_trouble_and_not_the_container_s(
    world: World, ends: dict[str, Any]
) -> None:
    world.cluster.waits_s, world.cluster.ends = 3600.0, ends
    with pytest.raises(Unavailable, match="did not start"):
        await world.answer()
    assert world.ends == []
    assert world.cluster.there == {}


async def test_what_a_killed_try_left_at_a_later_piece_is_removed_before_the_first(world: World) -> None:
    labels = {f"{PART}/key": f"run-{'e' * 32}"}
    world.cluster.there["left-7"] = {"metadata": {"labels": labels}}
    await world.answer(frames=2)
    assert world.cluster.there == {}
    assert world.cluster.removed.count(f"run-{'e' * 32}") == 2  # Jobs, and volumes; not again at the second piece


async def test_a_link_among_the_outputs_is_not_carried_back(world: World) -> None:
    world.cluster.link = True
    with pytest.raises(OutputNotSafe):
        await world.answer()


async def test_a_cluster_that_refuses_or_is_not_there_is_told_apart(world: World) -> None:
    with pytest.raises(RuntimeRefused):
        await world.answer(reference="")
    world.cluster.refuses = True
    with pytest.raises(RuntimeRefused):
        await world.answer()
    world.cluster.stop()
    with pytest.raises(Unavailable):
        await world.answer()
    with pytest.raises(RuntimeMissing):
        await KubernetesRuntime(world.objects, world.runtime._cluster).describe()


async def test_a_run_that_another_try_removed_is_not_the_container_s_fault_and_leaves_that_try_alone(
    world: World,
) -> None:
    world.cluster.successor = True
    with pytest.raises(Unavailable, match="removed"):
        await world.answer()
    assert list(world.cluster.there) == ["successor"]
    assert await world.left() == []
