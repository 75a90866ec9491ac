"""An endpoint directory with failpoints before and after each call; for tests."""

from __future__ import annotations

from collections.abc import Callable

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.failpoints import Plan
from waystation_core.identity.signatures import UNSIGNED, Signatures
from waystation_domain.endpoints import Allowlist
from waystation_router.endpoints.directory import EndpointDirectory
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_tls import ClientCredentials


class PointedEndpoints(EndpointDirectory):
    """Passes `call.sent` and `call.answered`. A call continues whatever happens at them: an error there has
    no effect."""

    def __init__(
        self,
        allowlist: Allowlist,
        plan: Plan,
        *,
        tls: ClientCredentials | None = None,
        signatures: Signatures = UNSIGNED,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(allowlist, tls=tls, signatures=signatures, on_change=on_change)
        self._plan = plan

    def call(
        self,
        service_name: str,
        request: pb.HandleEventRequest,
        timeout: float,
        *,
        alone: bool = False,
    ) -> EndpointCall:
        """As of the base."""
        call = super().call(service_name, request, timeout, alone=alone)
        self._plan.soon("call.sent")
        call.outcome.add_done_callback(lambda outcome: self._plan.at_once("call.answered"))
        return call
