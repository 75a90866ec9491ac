"""The channel factory: the only place for options and credentials of channels."""

from __future__ import annotations

from typing import Any

import grpc

from waystation_tls import ClientCredentials

KEEPALIVE_MS = 30_000
"""Above the 10 s that every Waystation server allows."""

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Neither the environment nor DNS decides where calls go or how often they are retried.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_send_message_length", -1),
)


def open_channel(
    target: str, *, tls: ClientCredentials | None = None, name: str = "", **different: int
) -> grpc.aio.Channel:
    """A channel to `host:port`; connects at the first call, and reconnects automatically. With `tls` the
    server's certificate must be for `name`, by default the host of the target. `different` overrides options by
    their names without `grpc.`, such as `keepalive_time_ms`."""
    options = {**dict(_OPTIONS), **{f"grpc.{option}": value for option, value in different.items()}}
    if tls is None:
        return grpc.aio.insecure_channel(target, options=tuple(options.items()))
    options.update(tls.options(name))
    return grpc.aio.secure_channel(target, tls.of_grpc(), options=tuple(options.items()))
