"""What several tests of routers begin with."""

from types import SimpleNamespace
from typing import Any

from support.registries import only

from waystation_core.metrics.meters import Meters
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.model import Instance, Status
from waystation_router.ledger import Ledger
from waystation_router.meters import RouterMeters

INSTANCE = Instance(
    key=1,
    workflow_instance_id="claim-1",
    workflow_type="claim",
    status=Status.ACTIVE,
    version=3,
    revision=3,
    data={},
    unsettled=2,
    dead_letters=0,
    event_count=3,
)

NO_REGISTRY: Any = only(SimpleNamespace(tokens=CompletionTokens(b"of these tests only")))
"""In the place of a router's copies of the registries, for calls alone."""


def meters_of(ledger: Ledger) -> RouterMeters:
    """Of the parts of a router, where nobody reads them."""
    return RouterMeters(Meters(), ledger.clock)
