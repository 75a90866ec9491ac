"""Checks at the start of a process whether the engine can use the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from waystation_core.broker.connection import (
    Session,
    SessionLostError,
    UnfitBrokerError,
    connection_parameters,
    process_name,
)
from waystation_core.broker.tls import tls_faults

ASK_SECONDS = 5.0


async def broker_faults(url: str, *, role: str, ca: Path | None = None) -> list[str]:
    """What is wrong with a broker, each with what to do. Nothing if it cannot be asked now, is in this
    process, or its address is not known."""
    if not url.startswith(("amqp://", "amqps://")):
        return []
    try:
        parameters = connection_parameters(url, ca)
    except ValueError as error:
        return [f"WAYSTATION_BROKER_URL: {error}."]
    session = Session(0, f"{process_name(role)} looks")
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await session.open(parameters, lambda: None)
    except UnfitBrokerError as unfit:
        return list(unfit.faults)
    except (SessionLostError, TimeoutError):
        return await tls_faults(parameters, ca)
    finally:
        await session.close()
    return []
