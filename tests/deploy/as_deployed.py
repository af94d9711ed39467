"""Reads from rendered manifests what the kubelet would do: command, environment, files, probes; moved here."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

Document = dict[str, Any]


def one(documents: list[Document], kind: str, name: str) -> Document:
    """The only document of a kind whose name is `name`, or `name` and a hash."""
    found = [d for d in documents if d["kind"] == kind and (d["metadata"]["name"] == name)]
    return found[0]


def data_of(documents: list[Document], kind: str, name: str) -> dict[str, str]:
    """Key -> text of a ConfigMap or Secret."""
    data = one(documents, kind, name)["data"]
    return {k: base64.b64decode(v).decode() if kind == "Secret" else v for k, v in data.items()}


@dataclass(frozen=True, slots=True)
class Container:
    """The only container of a Deployment or StatefulSet."""

    documents: list[Document]
    workload: Document

    @property
    def spec(self) -> Document:
        """The container itself."""
        containers: list[Document] = self.pod["containers"]
        return containers[0]

    @property
    def pod(self) -> Document:
        """The pod's spec."""
        pod: Document = self.workload["spec"]["template"]["spec"]
        return pod

    def environment(self) -> dict[str, str]:
        """Every variable, resolved as the kubelet does: envFrom in order, then env."""
        told: dict[str, str] = {}
        for source in self.spec.get("envFrom", []):
            kind, key = ("Secret", "secretRef") if "secretRef" in source else ("ConfigMap", "configMapRef")
            told |= data_of(self.documents, kind, source[key]["name"])
        return told | {variable["name"]: self._value(variable) for variable in self.spec.get("env", [])}

    def _value(self, variable: Document) -> str:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable["value"])
        if "secretKeyRef" in source:
            ref = source["secretKeyRef"]
            return data_of(self.documents, "Secret", ref["name"])[ref["key"]]
        if "resourceFieldRef" in source:
            return str(self.spec["resources"]["limits"]["cpu"])
        return str(self.workload["metadata"]["name"]) + "-0"

    def command(self) -> list[str]:
        """The command, with $(VARIABLES) expanded; `python` is this Python."""
        words = [*self.spec["command"], *self.spec.get("args", [])]
        for name, value in self.environment().items():
            words = [word.replace(f"$({name})", value) for word in words]
        return [sys.executable if word == "python" else word for word in words]

    def lay_files(self, root: Path) -> dict[str, str]:
        """Make every volume below `root`; mount path -> folder here."""
        volumes = {volume["name"]: volume for volume in self.pod.get("volumes", [])}
        moved = {}
        for mount in self.spec["volumeMounts"]:
            folder = root / mount["mountPath"].lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            moved[mount["mountPath"]] = str(folder)
            volume = volumes.get(mount["name"], {})
            for kind, key, name in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
                if key in volume:
                    for file, text in data_of(self.documents, kind, volume[key][name]).items():
                        (folder / file).write_text(text)
        return moved

    def port(self, name_or_number: str | int) -> int:
        """Number of a container port."""
        if isinstance(name_or_number, int):
            return name_or_number
        return next(int(p["containerPort"]) for p in self.spec["ports"] if p["name"] == name_or_number)

    def probe(self, which: str, here: Callable[[int], int]) -> bool:
        """Ask one probe once; `here` says which port of this machine stands for a container port."""
        probe = self.spec[which]
        timeout_s = probe.get("timeoutSeconds", 1)
        if "grpc" in probe:
            address = f"127.0.0.1:{here(probe['grpc']['port'])}"
            with grpc.insecure_channel(address) as channel:
                request = health_pb2.HealthCheckRequest(service=probe["grpc"].get("service", ""))
                try:
                    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
                except grpc.RpcError:
                    return False
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        get = probe["httpGet"]
        try:
            answer = httpx.get(f"http://127.0.0.1:{here(self.port(get['port']))}{get['path']}", timeout=timeout_s)
        except httpx.TransportError:
            return False
        return 200 <= answer.status_code < 400

    def wait_for(
        self, which: str, here: Callable[[int], int], seconds: float, process: subprocess.Popen[bytes] | None = None
    ) -> bool:
        """Ask a probe until it answers yes, or the process has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (process is None or process.poll() is None):
            if self.probe(which, here):
                return True
            time.sleep(0.3)
        return False
