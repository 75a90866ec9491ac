"""Whether a gRPC server is ready, by `grpc.health.v1`."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def serves(address: str, timeout: float = 2.0, *, authorities: bytes | None = None) -> bool:
    """Whether the server at `host:port` says SERVING, within so many seconds. `authorities`, in PEM, are those of
    a server that speaks TLS."""
    try:
        with channel_to(address, authorities) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=timeout
            )
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def channel_to(address: str, authorities: bytes | None = None) -> grpc.Channel:
    """A channel that no proxy is in the way of; over TLS if authorities are given."""
    options = [("grpc.enable_http_proxy", 0)]
    if authorities is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authorities), options=options)
