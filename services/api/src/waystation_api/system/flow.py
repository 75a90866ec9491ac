"""GetFlow: the flow of events as declared and as observed, with what is wrong with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from waystation.v1 import system_service_pb2
from waystation_api.requests import check_namespace
from waystation_api.system import flow_report
from waystation_conversion import set_timestamp, timestamp_from_proto
from waystation_core.ports.store import QueryStore, RegistryStore
from waystation_domain import limits
from waystation_domain.errors import InvalidField
from waystation_domain.flow import graph, lint
from waystation_domain.flow.findings import Finding
from waystation_domain.flow.graph import Observations
from waystation_domain.task_spec import TaskSpec

_pb = system_service_pb2

DEFAULT_INSTANCES = 1_000
MAX_INSTANCES = 10_000
_DEFAULT_SPAN = timedelta(hours=24)

_PORTION = 100
_LOOK_SECONDS = 8.0
"""No further portion is begun after so many seconds: the caller waits."""


class FlowReports:
    """Graphs of the flow of events, for operators."""

    def __init__(self, registry: RegistryStore, queries: QueryStore) -> None:
        self._registry = registry
        self._queries = queries

    async def get(self, request: _pb.GetFlowRequest) -> _pb.GetFlowResponse:
        """The flows, their findings and how many instances were read. Raises InvalidId, InvalidField."""
        namespace = check_namespace(request.namespace)
        requested = request.workflow_type
        if requested:
            limits.check_id(requested, "workflow_type")
        if request.max_instances < 0:
            raise InvalidField(
                f"max_instances must be 1-{MAX_INSTANCES}; omit it for {DEFAULT_INSTANCES}.",
                field="max_instances",
            )
        maximum = min(request.max_instances or DEFAULT_INSTANCES, MAX_INSTANCES)
        since = datetime.now(UTC) - _DEFAULT_SPAN
        if request.HasField("created_after"):
            since = timestamp_from_proto(request.created_after, "created_after")
        snapshot = await self._registry.snapshot(namespace)
        seen, stopped_at = await self._look(since, requested, maximum, namespace)
        live = {task.task_id for handler in snapshot.handlers for task in handler.tasks}
        # With many tasks this takes long enough to delay other calls.
        flows, left_out, found = await asyncio.to_thread(
            _draw, snapshot.tasks, live, seen, requested
        )
        findings = [one for one in found if not requested or requested in one.workflow_types]
        response = _pb.GetFlowResponse(
            instances=seen.instances.total(), cut_short=stopped_at is not None
        )
        set_timestamp(response.looked_back_to, stopped_at or since)
        drawn = [one for one in flows if requested in ("", one.workflow_type)]
        response.left_out = left_out + flow_report.fill_flow(drawn, findings, response)
        return response

    async def _look(
        self, since: datetime, workflow_type: str, maximum: int, namespace: str
    ) -> tuple[Observations, datetime | None]:
        """What the newest instances show, and the start of the oldest one if there are more."""
        seen = Observations()
        after = None
        ends_at = time.monotonic() + _LOOK_SECONDS
        while True:
            looked = await self._queries.flow(
                since,
                workflow_type=workflow_type,
                after=after,
                limit=min(_PORTION, maximum - seen.instances.total()),
                namespace=namespace,
            )
            seen.add(looked.seen)
            after = looked.after
            if after is None:
                return seen, None
            if seen.instances.total() >= maximum or time.monotonic() >= ends_at:
                return seen, after[0]


def _draw(
    specs: Sequence[TaskSpec], live: set[str], seen: Observations, requested: str
) -> tuple[list[graph.Flow], int, list[Finding]]:
    flows, left_out = graph.build(specs, live, seen, requested=requested)
    return flows, left_out, lint.lint(flows)
