"""Checks Postgres and RabbitMQ, which every server needs, and reports all faults together."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from waystation_core.broker import broker_faults
from waystation_core.rpc.settings import revealed
from waystation_core.store.fitness import database_faults


def faults_of_needed_servers(
    known: Mapping[str, Any], *, role: str
) -> list[Coroutine[Any, Any, list[str]]]:
    """One check for each part whose address is known. `known` are the valid settings by field; `role` is
    `api` or `router`."""
    return [
        database_faults(
            revealed(known, "database_url"),
            connections=known.get(f"{role}_database_connections", 0),
            lasting=known.get("unsafe_database") is False,
        ),
        broker_faults(revealed(known, "broker_url"), role=role, ca=known.get("broker_ca")),
    ]
