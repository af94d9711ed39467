"""What you learn here: compose.yaml and the Deployments tell the rooms the same things."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from as_deployed import Container, one
from irp_chassis.facts import ROOMS

ROOT = Path(__file__).parents[2]
OF_THE_CLUSTER = {
    "IRP_LOG_FORMAT",
    "IRP_LOG_LEVEL",
    "IRP_DRAIN_S",
    "IRP_S3_SECURE",
    "IRP_S3_REGION",
    "OMP_NUM_THREADS",
    "IRP_THREADS",
    "IRP_TRAINING_THREADS",
}


def house() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    return loaded


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_told_in_compose_what_its_deployment_tells_it(room: str, dev: list[dict[str, Any]]) -> None:
    service, container = house()["services"][room], Container(dev, one(dev, "Deployment", room))
    secret = next(d for d in dev if d["kind"] == "Secret" and d["metadata"]["name"].startswith(f"irp-{room}-"))
    deployed = container.environment()
    here = service["environment"]
    told = {k: v for k, v in deployed.items() if k not in secret["data"] or k == "IRP_DATABASE_URL"}
    for name, value in told.items():
        if name not in OF_THE_CLUSTER and not (name == "IRP_PUBLIC_URL" and room != "gateway"):
            assert here[name] == value
    assert service["env_file"] == [f"secrets/{room}.env"]
    assert "command" not in service
    command = '", "'.join(container.spec["command"])
    assert f'CMD ["{command}"]' in (ROOT / f"services/{room}/Dockerfile").read_text()


def test_only_loopback_is_bound() -> None:
    ports = [port for service in house()["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3  # the gateway, and the Open Inference Protocol by gRPC and by REST
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_reads_its_own_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([tmp_path / "deploy/make_secrets.sh", tmp_path / "deploy/secrets"], check=True, capture_output=True)
    command = [docker, "compose", "-f", str(tmp_path / "deploy/compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
