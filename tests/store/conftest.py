"""An engine store on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest
from store.instances import Engine
from support.databases import as_app

from waystation_core.store.connections import open_connections


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async for one in _engine(as_app(database_url)):
        yield one


@pytest.fixture
async def each_engine(each_database_url: str) -> AsyncIterator[Engine]:
    async for one in _engine(as_app(each_database_url)):
        yield one


async def _engine(url: str) -> AsyncIterator[Engine]:
    connections = open_connections(url, size=8, name="test")
    await connections.open(wait=True)
    yield Engine(connections)
    await connections.close()
