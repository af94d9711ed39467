"""An API server of a cluster that checks every document with Kubernetes' own schemas, and keeps what it creates.

Carriers really run, against the real object store; the container is the threshold algorithm in this process.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
from container_builders import threshold
from irp_training.adapters.carrier import FOLDER, NOT_SAFE, bring_back, fetch, fetch_weights
from irp_training.adapters.container_files import INPUT, OUTPUT, collect
from irp_training.adapters.kubernetes_manifests import PART
from irp_training.domain.container_errors import OutputNotSafe

Document = dict[str, Any]
LIMIT = 64 << 20  # bytes


class Cluster:
    """What was created, in order.

    `ends` says how the container ends instead of well, `waits_s` how long its Job has no node or image, and `endless`
    that it runs until it is removed.
    """

    def __init__(self, folder: Path) -> None:
        self.volume, self.created, self.there = folder / "volume", list[Document](), dict[str, Document]()
        self.removed: list[str] = []
        self.ends: dict[str, Any] = {}
        self.link = self.refuses = False
        self.waits_s, self.endless = 0.0, False
        self.successor = False  # another try of the same work removes ours and begins
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Document | str]:
        if path == "/version":
            return 200, {"gitVersion": "v1.37.0"}
        if path.endswith("/log"):
            return 200, "the last line\n"
        if self.refuses:
            return 403, {}
        if method == "POST":
            return self._create(json.loads(body))
        if method == "DELETE":
            label, _, value = query["labelSelector"][0].partition("=")
            self.removed.append(value)
            self.there = {n: d for n, d in self.there.items() if d["metadata"]["labels"].get(label) != value}
            return 200, {}
        if path.endswith("/pods"):
            return 200, {"items": [self._pod(query["labelSelector"][0].removeprefix("job-name="))]}
        if path.rpartition("/")[2] not in self.there:
            return 404, {}
        if not self._is_over(path.rpartition("/")[2]):
            return 200, {"status": {"active": 1}}
        failed = self._ended(path.rpartition("/")[2])["exitCode"]
        reason = {"reason": self.ends["job"]} if failed and "job" in self.ends else {}
        kind = "Failed" if failed else "Complete"
        return 200, {"status": {"conditions": [{"type": kind, "status": "True", **reason}]}}

    def _create(self, document: Document) -> tuple[int, Document]:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        name = document["metadata"]["name"]
        assert len(name) <= 63
        self.created.append(document)
        self.there[name] = document
        if document["kind"] == "Job":
            self._work(document)
        if self.successor and name.endswith("-algorithm"):
            labels = document["metadata"]["labels"] | {f"{PART}/run": "successor"}
            self.there = {"successor": {"metadata": {"labels": labels}}}
        return 201, document

    def _work(self, document: Document) -> None:
        (container,) = document["spec"]["template"]["spec"]["containers"]
        told = {variable["name"]: variable["value"] for variable in container["env"]}
        code = 0
        match document["metadata"]["labels"][f"{PART}/role"]:
            case "fetch":
                fetch(told["IRP_PARCEL_ADDRESS"], self.volume, told["IRP_PARCEL_DIRECTORY"])
                if "IRP_PARCEL_MODEL" in told:
                    fetch_weights(told["IRP_PARCEL_MODEL"], self.volume, int(told["IRP_PARCEL_MODEL_LIMIT"]))
            case "algorithm":
                code = int(self.ends.get("exitCode", 0))
                self._segment()
            case "collect":
                try:
                    bring_back(told["IRP_PARCEL_ADDRESS"], self.volume, int(told["IRP_PARCEL_LIMIT"]))
                except OutputNotSafe:
                    code = NOT_SAFE
        document["code"], document["made"] = code, time.monotonic()

    def _segment(self) -> None:
        run = self.volume / FOLDER
        for path, data in threshold(collect(run / INPUT, LIMIT)).items():
            (run / OUTPUT / path).parent.mkdir(parents=True, exist_ok=True)
            (run / OUTPUT / path).write_bytes(data)
        if self.link:
            (run / OUTPUT / "link").symlink_to("/etc/passwd")

    def _starts(self, name: str) -> bool:
        """Whether its container is beyond waiting."""
        waits = self.waits_s if name.endswith("-algorithm") else 0.0
        return time.monotonic() - self.there[name]["made"] >= waits

    def _is_over(self, name: str) -> bool:
        return "job" in self.ends or (self._starts(name) and not (self.endless and name.endswith("-algorithm")))

    def _ended(self, name: str) -> Document:
        job = self.there[name]
        return {
            "exitCode": job["code"],
            "reason": self.ends.get("reason", "Error") if job["code"] else "Completed",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": f"2026-01-01T00:00:{self.ends.get('seconds', 3):02d}Z",
        }

    def _pod(self, name: str) -> Document:
        state: Document = {"terminated": self._ended(name)}
        if not self._starts(name):
            state = {"waiting": {"reason": "ImagePullBackOff"}}
        elif not self._is_over(name):
            state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        return {"metadata": {"name": f"{name}-abcde"}, "status": {"containerStatuses": [{"state": state}]}}


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    def answered(method: str) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(request: BaseHTTPRequestHandler) -> None:
            if request.headers["Authorization"] != "Bearer who we are":
                request.send_error(401)
                return
            address = urlsplit(request.path)
            body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
            status, said = cluster.answer(method, address.path, parse_qs(address.query), body)
            data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            request.send_response(status)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

        return answer

    def silent(self: BaseHTTPRequestHandler, *words: object) -> None:
        """No log."""

    methods = {f"do_{method}": answered(method) for method in ("GET", "POST", "DELETE")}
    return type("Handler", (BaseHTTPRequestHandler,), {**methods, "log_message": silent})
