"""Channels and servers: the only place for options and credentials."""

from __future__ import annotations

import errno
import socket

import grpc

from waystation_tls import ClientCredentials, ServerCredentials

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


def open_channel(address: str, tls: ClientCredentials | None = None) -> grpc.aio.Channel:
    """A channel to `host:port`. It connects on first use and reconnects."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    options = [*CHANNEL_OPTIONS, *tls.options()]
    return grpc.aio.secure_channel(address, tls.of_grpc(), options=options)


def is_taken(host: str, port: int) -> bool:
    """Whether another socket of this machine listens there. A moment later it may be otherwise."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def open_port(server: grpc.aio.Server, address: str, tls: ServerCredentials | None) -> int:
    """Makes the server listen; the port, or 0 if it cannot. May raise RuntimeError instead."""
    if tls is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, tls.of_grpc())
