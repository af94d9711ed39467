"""In-memory twins: the same promises as the real adapters, proven by the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from google.protobuf.message import Message
from irp_kernel import ObjectRef, object_key, object_prefix, sha256_of
from irp_kernel.errors import DataLoss

from irp_chassis.facts import FactKind, fact_id, kind_of


class InMemoryObjects:
    """Objects in a dictionary."""

    def __init__(self, bucket: str = "irp-test") -> None:
        self._bucket = bucket
        self.stored: dict[tuple[str, str], bytes] = {}

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """See Objects.put."""
        digest = sha256_of(data)
        key = object_key(project, entity, id, kind, sha256=digest, extension=extension)
        self.stored.setdefault((self._bucket, key), bytes(data))
        return ObjectRef(bucket=self._bucket, key=key, sha256=digest, size=len(data), media_type=media_type)

    async def put_file(
        self, path: Path, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """See Objects.put_file."""
        where = {"project": project, "entity": entity, "id": id, "kind": kind}
        return await self.put(
            await asyncio.to_thread(path.read_bytes), **where, media_type=media_type, extension=extension
        )

    async def get(self, ref: ObjectRef) -> bytes:
        """See Objects.get."""
        data = self._find(ref)
        if sha256_of(data) != ref.sha256:
            raise DataLoss(sha256=ref.sha256)
        return data

    async def stream(self, ref: ObjectRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See Objects.stream."""
        data = self._find(ref)
        end = len(data) if length is None else start + length
        for at in range(start, end, 1 << 16):
            yield data[at : min(end, at + (1 << 16))]
        if start == 0 and length is None and sha256_of(data) != ref.sha256:
            raise DataLoss(sha256=ref.sha256)

    async def presign(self, ref: ObjectRef, expires_s: int) -> str:
        """See Objects.presign; the address is good for reading by people only."""
        return f"memory://{ref.bucket}/{ref.key}?expires={expires_s}"

    async def exists(self, ref: ObjectRef) -> bool:
        """See Objects.exists."""
        data = self.stored.get((ref.bucket, ref.key))
        return data is not None and len(data) == ref.size

    async def keys(self, *, project: str, entity: str, id: str) -> list[str]:
        """See Objects.keys."""
        prefix = object_prefix(project, entity, id)
        return sorted(key for bucket, key in self.stored if bucket == self._bucket and key.startswith(prefix))

    async def remove(self, keys: Collection[str]) -> None:
        """See Objects.remove."""
        for key in keys:
            self.stored.pop((self._bucket, key), None)

    def _find(self, ref: ObjectRef) -> bytes:
        try:
            return self.stored[ref.bucket, ref.key]
        except KeyError:
            raise DataLoss("an object that a row refers to is not in the store") from None


class RecordedFacts:
    """Facts in a list, each once, with the subject it would be published under."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, Message]] = []
        self._seen: set[str] = set()

    async def announce(self, fact: Message) -> None:
        """Record a fact; the same fact again changes nothing."""
        kind: FactKind = kind_of(type(fact))
        if fact_id(fact) not in self._seen:
            self._seen.add(fact_id(fact))
            self.facts.append((kind.subject_of(fact), fact))
