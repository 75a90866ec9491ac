"""Settings of a router process, from the environment and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from waystation_core.ports.broker import (
    DEFAULT_POOL,
    POOL_EXPIRES_SECONDS,
    require_bindings,
    require_pool_name,
)
from waystation_core.rpc.settings import ServerSettings
from waystation_domain.errors import InvalidEventType
from waystation_domain.topics import check_pattern


def _bindings(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class RouterSettings(ServerSettings):
    """`WAYSTATION_*`; every field has a safe default except the two addresses."""

    router_host: str = "127.0.0.1"
    """Where health and reflection are served."""
    router_port: int = Field(default=7401, ge=0, le=65_535)
    """0: any free port."""
    router_prefetch: int = Field(default=1_000, ge=1, le=65_535)
    """Messages that this router holds unacknowledged at most."""
    router_continues_locally: bool = True
    """Whether it handles the events that its own commits raise itself, while it has room; false: each goes
    over RabbitMQ."""
    router_lease_seconds: float = Field(default=10.0, ge=1.0, le=300.0)
    """After so long without renewal other routers take over its calls."""
    router_database_connections: int = Field(default=8, ge=4, le=100)
    router_pool: Annotated[str, AfterValidator(require_pool_name)] = DEFAULT_POOL
    """The pool whose queue it consumes. `--pool` on the command line."""
    router_bindings: Annotated[tuple[str, ...], BeforeValidator(_bindings)] = Field(default=())
    """Event types that a pool other than the default one takes: topic patterns, separated by commas.
    `--bind` on the command line."""
    router_pool_expires_seconds: float = Field(default=POOL_EXPIRES_SECONDS, ge=1.0, le=86_400.0)
    """How long that pool's queue stays without a router; then the default pool gets its events."""

    @field_validator("router_bindings")
    @classmethod
    def _they_fit(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        faults = []
        for binding in value:
            try:
                check_pattern(binding, "binding")
            except InvalidEventType as fault:
                faults.append(fault.message)
        if "router_pool" in info.data:
            try:
                require_bindings(info.data["router_pool"], value)
            except ValueError as fault:
                faults.append(str(fault))
        if faults:
            raise ValueError(" ".join(faults).rstrip("."))
        return value

    def misfits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        yield from super().misfits()
        yield from self.misfits_of_host("router_host")
