"""Runs containers as Jobs of a cluster, through its REST API with the room's service-account token.

The input goes to the object store, a carrier fetches it; see kubernetes_manifests. Everything of a run bears its key
as a label, so that what a killed try left is removed by the next.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import structlog
import urllib3
from irp_chassis.objects import PARCELS, S3Objects
from irp_kernel.errors import Unavailable

from irp_training.adapters.carrier import NOT_SAFE
from irp_training.adapters.container_files import packed, unpacked
from irp_training.adapters.kubernetes_manifests import (
    PART,
    WAITING_S,
    Document,
    Parcel,
    Role,
    claim,
    job,
    time_limit_s,
)
from irp_training.app.container_ports import Work
from irp_training.domain.container_errors import OutputNotSafe, RuntimeMissing, RuntimeRefused
from irp_training.domain.containers.container import Ended
from irp_training.domain.containers.limits import SAID_LIMIT
from irp_training.domain.containers.sockets import read_sockets

LOOK_S = 1.0  # between two looks at a Job
ADDRESS_S = 24 * 3600 + 3600  # that an address to fetch from or send to is good
TIMEOUT = urllib3.Timeout(connect=5, read=30)
NOT_FOUND, REFUSALS = 404, (400, 403, 422)
REMOVED = "the container's Job was removed"
NOT_STARTED = "the cluster did not start a container in time"
DEADLINE = "DeadlineExceeded"  # why a Job failed whose time was up
KILLED = 137
PACKING = 1 << 20  # bytes that an archive may be larger than its files, besides a fifth

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the API is and who we are.

    Attributes:
        address: of the API server.
        token: file, read anew for each call: the cluster renews it.
        authority: file with the certificate of the API server's authority; None = not https.
        namespace: in which containers run, and nothing else.
        carrier: image of the training room.
        storage_class: of volumes; empty = the cluster's own.
    """

    address: str
    token: Path
    authority: Path | None
    namespace: str
    carrier: str
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class _End:
    """How the pod of a Job ended."""

    code: int
    reason: str
    seconds: float
    pod: str
    timed_out: bool


class KubernetesRuntime:
    """See app.container_ports.Runtime."""

    def __init__(
        self, objects: S3Objects, cluster: Cluster, look_s: float = LOOK_S, waiting_s: float = WAITING_S
    ) -> None:
        self._objects, self._cluster, self._look_s, self._waiting_s = objects, cluster, look_s, waiting_s
        authority = str(cluster.authority) if cluster.authority else None
        self._http = urllib3.PoolManager(ca_certs=authority, timeout=TIMEOUT, retries=urllib3.Retry(total=0))
        self._name = ""

    async def describe(self) -> str:
        """Name and version.

        Raises:
            RuntimeMissing: the API does not answer us.
        """
        if not self._name:
            try:
                self._name = f"kubernetes {(await self._call('GET', '/version'))['gitVersion']}"
            except (Unavailable, RuntimeRefused, KeyError):
                raise RuntimeMissing from None
        return self._name

    async def run(self, work: Work) -> Ended:
        """Fetch, run, collect; then remove everything.

        Raises:
            RuntimeRefused: the container names no reference to pull it from, or the cluster refuses its Job.
        """
        if not work.container.reference:
            raise RuntimeRefused("the container was pushed without a reference that a cluster could pull it from")
        runtime = await self.describe()
        if work.piece == 0:
            await self._remove("key", work.key)  # whatever an earlier try left, at whichever piece it was killed
        parcel = await self._parcel(work)
        try:
            await self._create("persistentvolumeclaims", claim(parcel))
            await self._carried(await self._job(parcel, "fetch"))
            end = await self._job(parcel, "algorithm")
            said = await self._said(end.pod)
            outputs = await self._collected(parcel) if end.code == 0 else {}
        finally:
            await asyncio.shield(self._forget(parcel))
        return Ended(
            exit_code=end.code,
            seconds=end.seconds,
            said=said,
            outputs=outputs,
            runtime=runtime,
            out_of_memory=end.reason == "OOMKilled",
            timed_out=end.timed_out,
        )

    async def _parcel(self, work: Work) -> Parcel:
        body = await asyncio.to_thread(packed, work.inputs)
        name = f"irp-{work.key[:40]}-{uuid.uuid4().hex[:5]}"
        ref = await self._objects.put(
            body,
            project=PARCELS,
            entity=PARCELS,
            id=name,
            kind="input",
            media_type="application/x-tar",
            extension="tar",
        )
        model = work.container.model
        return Parcel(
            name=name,
            key=work.key,
            image=work.container.reference,
            carrier=self._cluster.carrier,
            fetch_from=await self._objects.presign(ref, ADDRESS_S),
            send_to=await self._objects.presign_parcel(name, ADDRESS_S),
            directory=read_sockets(work.container.sockets).segmentation.relative_path,
            input_bytes=len(body),
            limits=work.limits,
            model_from=await self._objects.presign(model, ADDRESS_S) if model else "",
            model_bytes=work.container.model_bytes,
            storage_class=self._cluster.storage_class,
        )

    async def _job(self, parcel: Parcel, role: Role) -> _End:
        """Create a Job and wait for its end.

        Raises:
            Unavailable: its container did not start in time; that is the cluster's trouble, or a registry's.
        """
        document, limit_s = job(parcel, role), time_limit_s(parcel, role)
        await self._create("jobs", document)
        name, made, began = document["metadata"]["name"], time.monotonic(), 0.0
        while True:
            # It is removed by another try of the same work, or by an operator: the cluster has not refused it.
            found = await self._call("GET", self._path("jobs", name), absent=REMOVED)
            ends = {c["type"]: c for c in found.get("status", {}).get("conditions", []) if c["status"] == "True"}
            if "Complete" in ends or "Failed" in ends:
                return await self._end(name, ends.get("Failed", {}).get("reason", ""), limit_s)
            # By our own clock, from the first look that found it running: the nodes' clocks may differ.
            running = await self._state(name, "running")
            now = time.monotonic()
            began = began or (now if running else 0.0)
            if running and now - began > limit_s:
                return _End(KILLED, "", now - began, running[0], timed_out=True)  # it ends as everything is removed
            if not began and now - made > self._waiting_s:
                _log.error("container_not_started", job=name)
                raise Unavailable(NOT_STARTED)
            await asyncio.sleep(self._look_s)

    async def _end(self, name: str, reason: str, limit_s: float) -> _End:
        if (ended := await self._state(name, "terminated")) is None:
            _log.error("container_not_started", job=name, reason=reason)  # or it left no trace: its node is gone
            raise Unavailable(NOT_STARTED)
        pod, end = ended
        seconds = _between(end.get("startedAt"), end.get("finishedAt"))
        late = reason == DEADLINE
        if late and seconds < limit_s:  # the Job's time was up, not the container's: it waited for most of it
            raise Unavailable(NOT_STARTED)
        return _End(int(end["exitCode"]), str(end.get("reason", "")), seconds, pod, late)

    async def _state(self, name: str, which: str) -> tuple[str, Document] | None:
        """Name of a Job's pod, and the state of its container, if it is this one."""
        query = urlencode({"labelSelector": f"job-name={name}"})
        for pod in (await self._call("GET", f"{self._path('pods')}?{query}")).get("items", []):
            for status in pod.get("status", {}).get("containerStatuses", []):
                if state := status.get("state", {}).get(which):
                    return pod["metadata"]["name"], state
        return None

    async def _carried(self, end: _End) -> None:
        if end.code == NOT_SAFE:
            raise OutputNotSafe
        if end.code != 0:
            raise Unavailable("a container's files could not be carried")

    async def _collected(self, parcel: Parcel) -> dict[str, bytes]:
        await self._carried(await self._job(parcel, "collect"))
        limit = parcel.limits.output_mb << 20
        data = await self._objects.claim_parcel(parcel.name, limit + limit // 5 + PACKING)
        return await asyncio.to_thread(unpacked, data, limit)

    async def _said(self, pod: str) -> str:
        """The last line of the container's log: a cluster keeps standard output and standard error together."""
        if not pod:
            return ""
        query = urlencode({"tailLines": 1, "limitBytes": 4 * SAID_LIMIT})
        text = await self._send("GET", f"{self._path('pods', pod)}/log?{query}")
        return "".join(c for c in text.decode(errors="replace").strip()[:SAID_LIMIT] if c.isprintable())

    async def _forget(self, parcel: Parcel) -> None:
        """Remove our own Jobs and volume, and what was passed on: a later try of the same work may be running."""
        await self._remove("run", parcel.name)
        await self._objects.remove(await self._objects.keys(project=PARCELS, entity=PARCELS, id=parcel.name))

    async def _create(self, kind: str, document: Document) -> None:
        await self._call("POST", self._path(kind), document)

    async def _remove(self, label: str, value: str) -> None:
        query = urlencode({"labelSelector": f"{PART}/{label}={value}", "propagationPolicy": "Background"})
        for kind in ("jobs", "persistentvolumeclaims"):
            await self._call("DELETE", f"{self._path(kind)}?{query}")

    def _path(self, kind: str, name: str = "") -> str:
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        path = f"{group}/namespaces/{self._cluster.namespace}/{kind}"
        return f"{path}/{quote(name)}" if name else path

    async def _call(self, method: str, path: str, document: Document | None = None, *, absent: str = "") -> Any:
        return json.loads(await self._send(method, path, document, absent=absent))

    async def _send(self, method: str, path: str, document: Document | None = None, *, absent: str = "") -> bytes:
        """Body of the API's answer; `absent` says what it means that nothing is there, if that is no refusal.

        Raises:
            RuntimeRefused: the API says no.
            Unavailable: it does not answer.
        """
        try:
            answer = await asyncio.to_thread(self._request, method, path, document)
        except (urllib3.exceptions.HTTPError, OSError):
            raise Unavailable("the cluster's API does not answer") from None
        if absent and answer.status == NOT_FOUND:
            raise Unavailable(absent)
        if answer.status in (*REFUSALS, NOT_FOUND):
            _log.error("cluster_refused", method=method, path=path.partition("?")[0], status=answer.status)
            raise RuntimeRefused
        if answer.status >= 300:
            raise Unavailable(f"the cluster's API answered {answer.status}")
        return answer.data

    def _request(self, method: str, path: str, document: Document | None) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {self._cluster.token.read_text().strip()}"}
        body = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        return self._http.request(method, f"{self._cluster.address}{path}", body=body, headers=headers)


def _between(start: str | None, end: str | None) -> float:
    """Seconds between two times of the API."""
    if not start or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
