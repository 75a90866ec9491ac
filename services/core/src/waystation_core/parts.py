"""What a server stands on, Postgres and RabbitMQ: asked together for what is wrong with them."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from waystation_core.broker import broker_faults
from waystation_core.rpc.settings import revealed
from waystation_core.store.fitness import database_faults


def faults_of_parts(known: Mapping[str, Any], *, role: str) -> list[Coroutine[Any, Any, list[str]]]:
    """One question for each part, where settings tell where it is. `known` are settings by their fields,
    those that are right; `role` is `api` or `router`."""
    return [
        database_faults(
            revealed(known, "database_url"),
            connections=known.get(f"{role}_database_connections", 0),
            lasting=known.get("unsafe_database") is False,
        ),
        broker_faults(revealed(known, "broker_url"), role=role),
    ]
