"""How endpoints are dialled."""

from __future__ import annotations

from typing import Any

import grpc

MAX_RECEIVED_BYTES = 8 * 1024 * 1024

SERVICE = "/waystation.v1.TaskHandlerService/"
HANDLE_EVENT = SERVICE + "HandleEvent"
HANDLE_EVENTS = SERVICE + "HandleEvents"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"

# A server with gRPC's defaults takes pings oftener than each 5 min for abuse and ends the connection
# with everything in call after the third (measured: 240 s into a quiet call at 30 s). Whoever serves
# HandleEvents keeps a connection open for good and is asked to allow them each 10 s.
PLAIN_KEEPALIVE_MS = 330_000
STREAM_KEEPALIVE_MS = 30_000

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A channel made anew connects anew, instead of sharing what an older one knows.
    ("grpc.use_local_subchannel_pool", 1),
    # Neither the environment nor DNS decides where calls go or how often they are repeated.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_send_message_length", -1),
)


def open_channel(target: str, *, streams: bool) -> grpc.aio.Channel:
    """A channel to a literal address; it connects when its state is asked for."""
    keepalive = STREAM_KEEPALIVE_MS if streams else PLAIN_KEEPALIVE_MS
    return grpc.aio.insecure_channel(
        target, options=(*_OPTIONS, ("grpc.keepalive_time_ms", keepalive))
    )
