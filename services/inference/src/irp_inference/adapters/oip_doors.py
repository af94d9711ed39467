"""Opens both doors of the Open Inference Protocol beside the room."""

from __future__ import annotations

from irp.oip import model_repository_pb2, model_repository_pb2_grpc, open_inference_pb2, open_inference_pb2_grpc
from irp_chassis import Room
from irp_chassis.auth import AUDIENCE, OIP_AUDIENCE, TokenVerifier
from irp_chassis.room import VERSION
from irp_chassis.rpc import RpcServer

from irp_inference.adapters.oip_grpc import OpenInference
from irp_inference.adapters.oip_health import NamedHealth
from irp_inference.adapters.oip_infer import Infer
from irp_inference.adapters.oip_models import Catalogue
from irp_inference.adapters.oip_repository import ModelRepository
from irp_inference.adapters.oip_rest import rest_door
from irp_inference.adapters.oip_rest_infer import RestInfer
from irp_inference.app.repository import Repository, Statistics
from irp_inference.settings import Settings

AUDIENCES = (AUDIENCE, OIP_AUDIENCE)


def open_doors(room: Room[Settings], infer: Infer, repository: Repository, statistics: Statistics) -> None:
    """Hang gRPC on `oip_bind` and REST on `oip_http_bind`; both take the rooms' tokens and people's."""
    settings = room.settings
    catalogue = Catalogue(repository, statistics, VERSION, settings.oip_max_batch)

    async def ready() -> bool:
        return (await room.readiness.report())[0]

    oip = RpcServer(settings, bind=settings.oip_bind, audiences=AUDIENCES)
    service = OpenInference(infer, catalogue, repository, ready)
    oip.add(open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server, service)
    oip.describe(open_inference_pb2.DESCRIPTOR)
    own = ModelRepository(catalogue, repository)
    oip.add(model_repository_pb2_grpc.add_ModelRepositoryServiceServicer_to_server, own)
    oip.describe(model_repository_pb2.DESCRIPTOR)
    room.serve_beside(oip)
    room.spawn(NamedHealth(oip, catalogue).follow)

    key = settings.auth_public_key_file
    verifier = TokenVerifier.from_file(key, AUDIENCES) if key else None
    rest = RestInfer(infer, settings.oip_max_batch, settings.max_message_bytes)
    room.serve_web_beside(rest_door(rest, catalogue, repository, verifier, ready), settings.oip_http_bind)
