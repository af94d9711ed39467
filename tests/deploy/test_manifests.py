"""What you learn here: what the manifests promise beyond their schemas, and that the checker sees what it should."""

from __future__ import annotations

import asyncio
import copy
import importlib
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import nats
import pytest
import yaml
from as_deployed import Container, data_of, one
from irp_chassis.facts import ROOMS
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import Part, free_port, nats_binary

ROOT = Path(__file__).parents[2]
Documents = list[dict[str, Any]]
UNITS = {"Mi": 1 / 1024, "Gi": 1.0}


def gibibytes(quantity: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([GM]i)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def settings_of(room: str) -> type[ServiceSettings]:
    name = f"irp_{room}.settings"
    if not (ROOT / f"services/{room}/src/irp_{room}/settings.py").is_file():
        return ServiceSettings
    found: type[ServiceSettings] = importlib.import_module(name).Settings
    return found


def test_the_dev_overlay_fits_one_node_of_16_gb(dev: Documents, check_manifests: ModuleType) -> None:
    pods = [d for d in dev if check_manifests.pod_template(d)]
    replicas = {d["metadata"]["name"]: d["spec"]["replicas"] for d in pods}
    assert set(replicas.values()) == {1}
    resources = [Container(dev, pod).spec["resources"] for pod in pods]
    assert sum(gibibytes(r["limits"]["memory"]) for r in resources) <= 14.5
    assert sum(gibibytes(r["requests"]["memory"]) for r in resources) <= 5


@pytest.mark.parametrize("room", ROOMS)
def test_every_variable_of_a_deployment_is_a_setting_of_its_room(room: str, dev: Documents) -> None:
    told = Container(dev, one(dev, "Deployment", room)).environment()
    known = {f"IRP_{field.upper()}" for field in settings_of(room).model_fields}
    shared = {"IRP_PUBLIC_URL"}  # in the ConfigMap of all rooms, a setting of the gateway's
    if settings_of(room) is ServiceSettings:
        pytest.skip(f"{room} has no settings.py yet")
    assert {name for name in told if name.startswith("IRP_")} - known - shared == set()


def test_the_site_overlay_has_replicas_where_they_are_safe(rendered: dict[str, Documents]) -> None:
    site = rendered["site"]
    scaled = {d["metadata"]["name"]: d["spec"]["minReplicas"] for d in site if d["kind"] == "HorizontalPodAutoscaler"}
    fixed = {d["metadata"]["name"]: d["spec"].get("replicas") for d in site if d["kind"] == "Deployment"}
    assert scaled == {"gateway": 2, "ingest": 2, "quality": 2, "annotation": 2, "inference": 2, "radiomics": 2}
    assert {name: count for name, count in fixed.items() if count is not None} == {"training": 1}
    assert one(site, "StatefulSet", "nats")["spec"]["replicas"] == 3
    assert Container(site, one(site, "Deployment", "ingest")).environment()["IRP_NATS_REPLICAS"] == "3"


def test_nothing_of_ingest_reaches_a_disk_before_it_is_deidentified(dev: Documents) -> None:
    pod = one(dev, "Deployment", "ingest")["spec"]["template"]["spec"]
    assert next(v for v in pod["volumes"] if v["name"] == "tmp")["emptyDir"]["medium"] == "Memory"


def test_only_the_gateway_may_call_a_room(dev: Documents) -> None:
    policies = [d for d in dev if d["kind"] == "NetworkPolicy"]
    for room in set(ROOMS) - {"gateway"}:
        doors = [
            (port["port"], tuple(str(source) for source in rule.get("from", ["anybody"])))
            for policy in policies
            if policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") == room
            for rule in policy["spec"].get("ingress", [])
            for port in rule["ports"]
        ]
        callers = {sources for port, sources in doors if port == 9000}
        assert len(callers) == 1
        assert "'gateway'" in str(callers)
        open_doors = {port for port, sources in doors if sources == ("anybody",)}
        assert open_doors == {"inference": {8001, 8002}}.get(room, set())


def test_the_gateway_sees_every_replica_of_the_classification_server_and_none_that_is_not_ready(dev: Documents) -> None:
    address = Container(dev, one(dev, "Deployment", "gateway")).environment()["IRP_INFERENCE_ADDRESS"]
    service = one(dev, "Service", "inference")["spec"]
    assert address == f"dns:///inference:{next(port['port'] for port in service['ports'] if port['name'] == 'rpc')}"
    assert service["clusterIP"] == "None"  # its name has the address of each pod
    assert not service.get("publishNotReadyAddresses", False)


def test_the_public_and_private_keys_are_a_pair_and_only_the_gateway_sees_the_private_one(dev: Documents) -> None:
    holders = [
        room for room in ROOMS if "irp-private-key" in str(Container(dev, one(dev, "Deployment", room)).pod["volumes"])
    ]
    assert holders == ["gateway"]
    holders = [
        room for room in ROOMS if "irp-model-key" in str(Container(dev, one(dev, "Deployment", room)).pod["volumes"])
    ]
    assert holders == ["training"]
    holders = [
        room
        for room in ROOMS
        if "irp-installation-key" in str(Container(dev, one(dev, "Deployment", room)).pod["volumes"])
    ]
    assert holders == ["ingest"]


def test_what_the_training_room_may_keep_on_its_disk_fits_the_volume(dev: Documents) -> None:
    container = Container(dev, one(dev, "Deployment", "training"))
    told, volumes = container.environment(), {one["name"]: one for one in container.pod["volumes"]}
    mount = next(m for m in container.spec["volumeMounts"] if told["IRP_TRAINING_CACHE_DIR"].startswith(m["mountPath"]))
    limit = gibibytes(volumes[mount["name"]]["emptyDir"]["sizeLimit"])
    assert 1 <= limit - int(told["IRP_TRAINING_CACHE_BYTES"]) / 2**30 <= 2  # beyond its limit the pod is evicted


def test_images_say_which_commit_they_are_of(tmp_path: Path) -> None:
    for room in ROOMS:
        text = (ROOT / f"services/{room}/Dockerfile").read_text()
        assert "ARG COMMIT=\nLABEL org.opencontainers.image.revision=${COMMIT}\n" in text
    assert "ENV IRP_CODE_COMMIT=${COMMIT}\n" in (ROOT / "services/training/Dockerfile").read_text()
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    docker.chmod(0o700)
    told = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "COMMIT": "c0ffee"}
    command = [ROOT / "deploy/build_images.sh", "gateway", "training"]
    words = subprocess.run(command, env=told, capture_output=True, text=True, check=True).stdout.splitlines()
    assert words.count("COMMIT=c0ffee") == 2
    assert words.count("TORCH=cpu") == 1


def test_alerts_ask_for_metrics_that_the_rooms_tell() -> None:
    known = set[str]()
    for source in (*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("libs/chassis/src/**/*.py")):
        known |= set(re.findall(r'(?:Gauge|Counter|Histogram)\(\s*"(irp_\w+)"', source.read_text()))
    document = yaml.safe_load((ROOT / "deploy/k8s/components/alerts/rules.yaml").read_text())
    rules = [rule for group in document["spec"]["groups"] for rule in group["rules"]]
    readme = (ROOT / "deploy/k8s/components/alerts/README.md").read_text()
    for rule in rules:
        asked = set(re.findall(r"\birp_\w+", rule["expr"]))
        assert asked
        assert asked <= known
        assert f"`{rule['alert']}`" in readme
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_the_checker_sees_unknown_fields_missing_names_and_broken_rules(
    dev: Documents, check_manifests: ModuleType
) -> None:
    wrong = copy.deepcopy(one(dev, "Deployment", "quality"))
    wrong["spec"]["replica"] = 2
    assert "replica" in check_manifests.schema_fault(wrong)
    wrong = copy.deepcopy(one(dev, "Deployment", "quality"))
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
    assert list(check_manifests.house_faults(wrong)) == ["Deployment/quality: root file system can be written"]
    rest = [d for d in dev if d["kind"] != "ServiceAccount"]
    assert any("ServiceAccount/quality" in fault for fault in check_manifests.broken_references(rest))


async def test_a_room_can_publish_only_its_own_facts(dev: Documents, tmp_path: Path) -> None:
    container = Container(dev, one(dev, "StatefulSet", "nats"))
    container.lay_files(tmp_path)
    port = free_port()
    users = tmp_path / "etc/nats/users.conf"
    config = tmp_path / "nats.conf"
    config.write_text(f'listen: 127.0.0.1:{port}\njetstream {{ store_dir: "{tmp_path}/js" }}\n{users.read_text()}')
    passwords = data_of(dev, "Secret", container.spec["envFrom"][0]["secretRef"]["name"])
    part = Part(
        ["env", *(f"{k}={v}" for k, v in passwords.items()), nats_binary(), "-c", str(config)], port, tmp_path / "log"
    )
    part.start()
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    try:
        client = await nats.connect(
            f"nats://127.0.0.1:{port}",
            user="quality",
            password=passwords["IRP_NATS_PASSWORD_QUALITY"],
            error_cb=on_error,
        )
        stream = client.jetstream()
        await stream.add_stream(name="IRP_QUALITY", subjects=["irp.quality.v1.>"])
        await stream.publish("irp.quality.v1.series.assessed.alpha", b"fact")
        assert errors == []
        await client.publish("irp.ingest.v1.series.stored.alpha", b"forged")
        await client.publish("$JS.API.STREAM.DELETE.IRP_INGEST", b"")
        async with asyncio.timeout(10):
            while len(errors) < 2:  # the server tells them when it likes
                await asyncio.sleep(0.05)
        assert all("permissions violation" in error.lower() for error in errors)
        await client.close()
    finally:
        part.stop()
