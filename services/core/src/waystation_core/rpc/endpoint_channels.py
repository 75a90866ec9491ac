"""How endpoints are dialled."""

from __future__ import annotations

import grpc

from waystation_core.rpc.channels import open_channel

SERVICE = "/waystation.v1.TaskHandlerService/"
HANDLE_EVENT = SERVICE + "HandleEvent"
HANDLE_EVENTS = SERVICE + "HandleEvents"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"

# A server with gRPC's defaults takes pings oftener than each 5 min for abuse and ends the connection
# with everything in call after the third (measured: 240 s into a quiet call at 30 s). Whoever serves
# HandleEvents keeps a connection open for good and is asked to allow them each 10 s.
PLAIN_KEEPALIVE_MS = 330_000
STREAM_KEEPALIVE_MS = 30_000


def open_endpoint_channel(target: str, *, streams: bool) -> grpc.aio.Channel:
    """A channel to a literal address; it connects when its state is asked for."""
    return open_channel(
        target,
        keepalive_time_ms=STREAM_KEEPALIVE_MS if streams else PLAIN_KEEPALIVE_MS,
        keepalive_permit_without_calls=0,
        # A channel made anew connects anew, instead of sharing what an older one knows.
        use_local_subchannel_pool=1,
    )
