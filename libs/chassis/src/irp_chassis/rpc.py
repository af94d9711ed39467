"""gRPC, both sides: what rooms import."""

from irp_chassis.auth import Caller, act_as, caller
from irp_chassis.rpc_client import RpcClient
from irp_chassis.rpc_server import RpcServer

__all__ = ["Caller", "RpcClient", "RpcServer", "act_as", "caller"]
