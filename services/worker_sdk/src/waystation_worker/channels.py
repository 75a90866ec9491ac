"""Channels and servers: the only place for options, and later for credentials."""

from __future__ import annotations

import grpc

# gRPC receives 4 MiB by default, and Waystation sends no larger message.
CHANNEL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Ignore proxies of the environment and service configs of DNS.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
]

SERVER_OPTIONS: list[tuple[str, int]] = [
    # Otherwise two processes on one port would silently share its calls.
    ("grpc.so_reuseport", 0),
    # Below the 30 s of the callers; otherwise their pings would count as abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to `host:port`. It connects on first use and reconnects."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
