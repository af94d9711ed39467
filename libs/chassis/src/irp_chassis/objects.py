"""Immutable, content-addressed bytes in S3. Same content, same key: putting twice is putting once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import urllib3
from irp_kernel import ObjectRef, object_key, object_prefix, sha256_of
from irp_kernel.errors import DataLoss, Unavailable
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error

from irp_chassis.failpoints import AFTER_OBJECT, pass_failpoint
from irp_chassis.settings import ServiceSettings

CHUNK = 1 << 20  # bytes read from the store at once
CONNECTIONS = 16
NOT_FOUND = 404
REMOVALS = 8  # objects removed at the same time
PARCELS = "parcels"  # stands where a project's name stands in keys of what is only passed on
ATTEMPTS = 4  # tries of one call while the store restarts; then UNAVAILABLE

T = TypeVar("T")


class Objects(Protocol):
    """What rooms need of an object store."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store bytes under the key that their content gives; durable when this returns."""
        ...

    async def put_file(
        self, path: Path, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store a file that is too large for memory, as `put` does."""
        ...

    async def get(self, ref: ObjectRef) -> bytes:
        """Bytes of an object, verified against their hash."""
        ...

    def stream(self, ref: ObjectRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Bytes of an object in pieces; the hash is verified when the whole object is read."""
        ...

    async def presign(self, ref: ObjectRef, expires_s: int) -> str:
        """Address from which anyone can read the object for some seconds."""
        ...

    async def exists(self, ref: ObjectRef) -> bool:
        """True if the store holds the object with its size."""
        ...

    async def keys(self, *, project: str, entity: str, id: str) -> list[str]:
        """Keys of every object of one thing in the room's own bucket."""
        ...

    async def remove(self, keys: Collection[str]) -> None:
        """Remove objects from the room's own bucket; what is not there is removed already."""
        ...


class S3Objects:
    """The real store, through the `minio` client; its blocking calls run in threads."""

    def __init__(self, bucket: str, settings: ServiceSettings) -> None:
        self._bucket = bucket
        pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, timeout=urllib3.Timeout(connect=5, read=60), retries=urllib3.Retry(total=0)
        )
        self._client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=settings.s3_secure,
            region=settings.s3_region,
            http_client=pool,
        )

    async def ensure_bucket(self) -> None:
        """Make the room's bucket, waiting for the store as long as it takes."""
        while True:
            try:
                await asyncio.to_thread(self._make_bucket)
            except (MinioException, urllib3.exceptions.HTTPError, OSError):
                await asyncio.sleep(0.5)
            else:
                return

    def _make_bucket(self) -> None:
        if not self._client.bucket_exists(bucket_name=self._bucket):
            self._client.make_bucket(bucket_name=self._bucket)

    async def check(self) -> None:
        """Raise unless the store answers."""
        await asyncio.wait_for(asyncio.to_thread(self._client.bucket_exists, bucket_name=self._bucket), 5)

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """See Objects.put."""
        digest = await asyncio.to_thread(sha256_of, data)
        key = object_key(project, entity, id, kind, sha256=digest, extension=extension)
        ref = ObjectRef(bucket=self._bucket, key=key, sha256=digest, size=len(data), media_type=media_type)
        if not await self.exists(ref):
            await _retried(
                lambda: self._client.put_object(
                    bucket_name=self._bucket,
                    object_name=key,
                    data=io.BytesIO(data),
                    length=len(data),
                    content_type=media_type,
                )
            )
        pass_failpoint(AFTER_OBJECT)
        return ref

    async def put_file(
        self, path: Path, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """See Objects.put_file."""
        digest, size = await asyncio.to_thread(_hash_of_file, path)
        key = object_key(project, entity, id, kind, sha256=digest, extension=extension)
        ref = ObjectRef(bucket=self._bucket, key=key, sha256=digest, size=size, media_type=media_type)
        if not await self.exists(ref):
            await _retried(
                lambda: self._client.fput_object(
                    bucket_name=self._bucket, object_name=key, file_path=str(path), content_type=media_type
                )
            )
        pass_failpoint(AFTER_OBJECT)
        return ref

    async def get(self, ref: ObjectRef) -> bytes:
        """See Objects.get."""
        data = await _retried(lambda: self._read(ref, 0, 0))
        if await asyncio.to_thread(sha256_of, data) != ref.sha256:
            raise DataLoss(sha256=ref.sha256)
        return data

    async def stream(self, ref: ObjectRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See Objects.stream."""
        response = await _retried(lambda: self._open(ref, start, length or 0))
        digest = hashlib.sha256()
        try:
            while piece := await asyncio.to_thread(response.read, CHUNK):
                digest.update(piece)
                yield piece
        finally:
            response.close()
            response.release_conn()
        if start == 0 and length is None and digest.hexdigest() != ref.sha256:
            raise DataLoss(sha256=ref.sha256)

    async def presign(self, ref: ObjectRef, expires_s: int) -> str:
        """See Objects.presign."""
        return await asyncio.to_thread(
            self._client.presigned_get_object,
            bucket_name=ref.bucket,
            object_name=ref.key,
            expires=timedelta(seconds=expires_s),
        )

    async def presign_parcel(self, id: str, expires_s: int) -> str:
        """Address to which anyone can write one parcel for some seconds; `claim_parcel` takes it."""
        return await asyncio.to_thread(
            self._client.presigned_put_object,
            bucket_name=self._bucket,
            object_name=_parcel(id),
            expires=timedelta(seconds=expires_s),
        )

    async def claim_parcel(self, id: str, limit: int) -> bytes:
        """What was written to a parcel's address, at most `limit` bytes of it; the parcel is gone afterwards.

        Raises:
            DataLoss: nothing was written.
        """
        ref = ObjectRef(bucket=self._bucket, key=_parcel(id), sha256="0" * 64, size=0, media_type="")
        data = await _retried(lambda: self._read(ref, 0, limit))
        await self.remove([ref.key])
        return data

    async def exists(self, ref: ObjectRef) -> bool:
        """See Objects.exists."""
        try:
            found = await _retried(lambda: self._client.stat_object(bucket_name=ref.bucket, object_name=ref.key))
        except DataLoss:
            return False
        return bool(found.size == ref.size)

    async def keys(self, *, project: str, entity: str, id: str) -> list[str]:
        """See Objects.keys."""
        return await _retried(lambda: self._list(object_prefix(project, entity, id)))

    async def remove(self, keys: Collection[str]) -> None:
        """See Objects.remove."""
        gate = asyncio.Semaphore(REMOVALS)

        async def remove(key: str) -> None:
            async with gate:
                with contextlib.suppress(DataLoss):
                    await _retried(lambda: self._client.remove_object(bucket_name=self._bucket, object_name=key))

        await asyncio.gather(*(remove(key) for key in keys))

    def _list(self, prefix: str) -> list[str]:
        found = self._client.list_objects(bucket_name=self._bucket, prefix=prefix, recursive=True)
        return [str(item.object_name) for item in found if not item.is_dir]

    def _open(self, ref: ObjectRef, start: int, length: int) -> Any:
        return self._client.get_object(bucket_name=ref.bucket, object_name=ref.key, offset=start, length=length)

    def _read(self, ref: ObjectRef, start: int, length: int) -> bytes:
        response = self._open(ref, start, length)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()


def _parcel(id: str) -> str:
    """Key of bytes whose hash nobody knows yet: they are taken from there once, and no row refers to them."""
    return f"{object_prefix(PARCELS, PARCELS, id)}parcel"


def _hash_of_file(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


async def _retried(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread; again while the store is away.

    Raises:
        DataLoss: the object is not there, though a row says so.
        Unavailable: the store did not answer.
    """
    for attempt in range(ATTEMPTS):
        try:
            return await asyncio.to_thread(call)
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchBucket"}:
                raise DataLoss("an object that a row refers to is not in the store") from None
            if attempt == ATTEMPTS - 1:
                raise Unavailable("the object store refused") from None
        except InvalidResponseError as error:  # rclone's answer to a GET of what is not there
            if getattr(error, "_code", 0) == NOT_FOUND:
                raise DataLoss("an object that a row refers to is not in the store") from None
            if attempt == ATTEMPTS - 1:
                raise Unavailable("the object store refused") from None
        except (MinioException, urllib3.exceptions.HTTPError, OSError):
            if attempt == ATTEMPTS - 1:
                raise Unavailable("the object store does not answer") from None
        await asyncio.sleep(0.25 * 2**attempt)
    raise Unavailable("the object store does not answer")
