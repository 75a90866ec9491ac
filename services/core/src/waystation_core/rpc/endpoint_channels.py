"""Channels to endpoints."""

from __future__ import annotations

import grpc

from waystation_core.rpc.channels import open_channel
from waystation_tls import ClientCredentials

SERVICE = "/waystation.v1.TaskHandlerService/"
HANDLE_EVENT = SERVICE + "HandleEvent"
HANDLE_EVENTS = SERVICE + "HandleEvents"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"

# A server with gRPC's defaults treats pings more often than every 5 min as abuse and closes the connection
# with all its calls after the third (measured: 240 s into a quiet call at 30 s). A service with HandleEvents
# keeps its connection open all the time and is asked to allow one every 10 s.
PLAIN_KEEPALIVE_MS = 330_000
STREAM_KEEPALIVE_MS = 30_000

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Bytes of a message of answers. A larger one is refused with a reason, up to the limit of gRPC, beyond which
gRPC itself answers RESOURCE_EXHAUSTED, like a handler might."""
_MAX_RECEIVED_BYTES = 2 * MAX_ANSWER_BYTES

MAX_METADATA_BYTES = 256 * 1024
"""Of a status with all its details. Where gRPC's own 8 to 16 KiB are exceeded, it answers
RESOURCE_EXHAUSTED instead, and the handler's code and cause are lost: a few thousand characters that are
not ASCII do that."""


def open_endpoint_channel(
    target: str, *, streams: bool, host: str = "", tls: ClientCredentials | None = None
) -> grpc.aio.Channel:
    """A channel to a literal address; it connects when its state is asked for. With `tls` the endpoint must show a
    certificate for `host`, as which it registered."""
    return open_channel(
        target,
        tls=tls,
        name=host,
        keepalive_time_ms=STREAM_KEEPALIVE_MS if streams else PLAIN_KEEPALIVE_MS,
        keepalive_permit_without_calls=0,
        max_receive_message_length=_MAX_RECEIVED_BYTES,
        max_metadata_size=MAX_METADATA_BYTES,
        absolute_max_metadata_size=2 * MAX_METADATA_BYTES,
        # A new channel makes a new connection instead of sharing an older one.
        use_local_subchannel_pool=1,
    )
