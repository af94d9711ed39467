"""Our doors of the Open Inference Protocol: the room's batches and engine processes, without its stores.

python ours.py BUNDLE.zip FOLDER GRPC_PORT HTTP_PORT PRECISION

FOLDER holds public.pem, the cache of exports, and for a reduced precision reduced.zip.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from irp_bundle import PipelineSteps, read_bundle
from irp_bundle.reduced import Precision
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter, TokenVerifier
from irp_chassis.http_lines import BoundedHttp
from irp_chassis.rpc import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.engines import Engines
from irp_inference.adapters.oip.grpc_door import OpenInference, add_to_server
from irp_inference.adapters.oip.nets import Nets
from irp_inference.adapters.oip.rest_door import create_rest
from irp_inference.app.ports import Loaded
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.serving import Choice

PUBLIC = "public.pem"
NAME = "bench.segment"


class OneModel:
    """A shelf of one loaded model, without the room's stores."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @asynccontextmanager
    async def use(self, name: str, version: int | None) -> Any:
        """Always the one."""
        yield self._loaded

    async def number(self, name: str, version: object) -> int:
        """Always the one."""
        return self._loaded.version

    async def choice(self, name: str, series_uid: str) -> Choice:
        """Always the one."""
        return Choice(self._loaded.version, "champion")

    async def default(self, name: str) -> Choice:
        """Always the one."""
        return await self.choice(name, "")


def a_token(folder: Path) -> str:
    """A key pair whose public half is written to the folder, and a token that it signs."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / PUBLIC).write_bytes(public)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return TokenMinter(private).mint(Caller(subject="bench"), audience=OIP_AUDIENCE, lifetime_s=86_400)


async def serve(data: bytes, folder: Path, grpc_port: int, http_port: int, precision: Precision) -> None:
    """Until it is killed."""
    bundle, engines = read_bundle(data), Engines(cache=folder)
    reduced = None if precision == "float32" else (folder / "reduced.zip").read_bytes()
    nets = await engines.open(data, bundle, precision, reduced)
    loaded = Loaded(name="bench", version=1, digest=bundle.digest, steps=PipelineSteps(bundle), nets=nets)
    shelf: Any = OneModel(loaded)
    doors = Nets(shelf, WhoeverServes(shelf), DynamicBatches())
    settings = ServiceSettings(auth_public_key_file=folder / PUBLIC, log_level="error")
    server = RpcServer(settings, bind=f"127.0.0.1:{grpc_port}", audiences=[OIP_AUDIENCE])
    server.add(add_to_server, OpenInference(doors, "bench"))
    await server.start()
    rest = create_rest(doors, TokenVerifier.from_file(folder / PUBLIC, [OIP_AUDIENCE]), "bench", 1 << 30)
    await uvicorn.Server(
        uvicorn.Config(rest, port=http_port, http=BoundedHttp, log_config=None, access_log=False)
    ).serve()


if __name__ == "__main__":
    given, place, (grpc, http, wanted) = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), sys.argv[3:]
    asyncio.run(serve(given, place, int(grpc), int(http), wanted))  # type: ignore[arg-type]
