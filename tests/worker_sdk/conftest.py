"""A fake Waystation for the tests of the SDK."""

from collections.abc import AsyncIterator

import pytest
from worker_sdk.fakes import FakeWaystation, serving


@pytest.fixture
async def waystation() -> AsyncIterator[FakeWaystation]:
    async with serving(FakeWaystation()) as fake:
        yield fake
