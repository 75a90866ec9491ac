"""A whole router on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest
from router.whole import WholeRouter
from store.instances import Engine
from support.databases import as_app

from waystation_core.store.connections import open_connections


@pytest.fixture
async def whole(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WholeRouter]:
    connections = open_connections(as_app(database_url), size=8, name="test")
    await connections.open(wait=True)
    router = WholeRouter(Engine(connections), database_url, monkeypatch)
    yield router
    await router.stop()
    await connections.close()
