"""What a handler service measures, at a port of its own. It needs the extra: `waystation-worker[metrics]`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from waystation.v1 import task_handler_service_pb2
from waystation_worker.errors import SettingsError
from waystation_worker.invocation import CALL_TIMED_OUT, CallRefused, Invoker
from waystation_worker.tasks import HostedTask

MISSING = (
    "WAYSTATION_HANDLER_METRICS_PORT is set, but the package prometheus-client is not installed; "
    "install waystation-worker[metrics], or unset it"
)
_OTHER = "other"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0)


class Definition(NamedTuple):
    """One metric of a handler service."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


INFO = Definition(
    "waystation_handler_info",
    "gauge",
    "Always 1; its labels say which service runs, and in which version.",
    ("service", "version"),
)
REGISTERED = Definition(
    "waystation_handler_registered",
    "gauge",
    "1 while the service is registered with Waystation, else 0. Always 0 for one that does not register.",
)
CALLS = Definition(
    "waystation_handler_call_seconds",
    "histogram",
    "Calls of tasks as the handler service sees them: `succeeded`, `pending`, `failed`, `timed_out`, `refused`, or "
    "`cancelled` by the router.",
    ("task_id", "outcome"),
)
IN_FLIGHT = Definition(
    "waystation_handler_calls_in_flight",
    "gauge",
    "Calls of tasks that are running.",
    ("task_id",),
)
ALL = (INFO, REGISTERED, CALLS, IN_FLIGHT)


class HandlerMetrics:
    """Counts for one service, and serves what it counts. Raises SettingsError without the extra."""

    def __init__(self, tasks: Mapping[str, HostedTask], service_name: str, version: str) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise SettingsError(MISSING, code="FAILED_PRECONDITION") from None
        self._client = prometheus_client
        self._registry = registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=registry)
        # One for each hosted task and outcome.
        self._calls = prometheus_client.Histogram(
            CALLS.name, CALLS.help, CALLS.labels, registry=registry, buckets=_BUCKETS
        )
        self._in_flight = prometheus_client.Gauge(
            IN_FLIGHT.name, IN_FLIGHT.help, IN_FLIGHT.labels, registry=registry
        )
        self._registered = prometheus_client.Gauge(
            REGISTERED.name, REGISTERED.help, registry=registry
        )
        info = prometheus_client.Gauge(INFO.name, INFO.help, INFO.labels, registry=registry)
        info.labels(service_name, version).set(1)
        self._tasks = tasks

    def serve(
        self, host: str, port: int, registered: Callable[[], bool]
    ) -> tuple[int, Callable[[], None]]:
        """Serves /metrics in a thread; returns the port, and what ends it. Raises SettingsError if it cannot
        listen."""
        self._registered.set_function(lambda: float(registered()))
        try:
            server, thread = self._client.start_http_server(port, host, self._registry)
        except OSError as error:
            raise SettingsError(
                f"WAYSTATION_HANDLER_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}; "
                "choose another port, or 0 for a free one",
                code="FAILED_PRECONDITION",
            ) from None

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, end

    def begun(self, task_id: str) -> Callable[[str], None]:
        """A call begins; what is returned is called with its outcome."""
        task_id = task_id if task_id in self._tasks else _OTHER
        running = self._in_flight.labels(task_id)
        running.inc()
        at = time.monotonic()

        def ended(outcome: str) -> None:
            running.dec()
            self._calls.labels(task_id, outcome).observe(time.monotonic() - at)

        return ended


class MeasuredInvoker(Invoker):
    """An Invoker whose calls are measured."""

    def __init__(self, *args: Any, metrics: HandlerMetrics) -> None:
        super().__init__(*args)
        self._metrics = metrics

    async def call(
        self, request: task_handler_service_pb2.HandleEventRequest, limit: float | None
    ) -> task_handler_service_pb2.HandleEventResponse:
        """See Invoker."""
        ended = self._metrics.begun(request.task_id)
        outcome = "refused"
        try:
            response = await super().call(request, limit)
            outcome = _OUTCOMES.get(response.WhichOneof("outcome") or "", "succeeded")
            return response
        except CallRefused as refused:
            outcome = "timed_out" if refused.reason == CALL_TIMED_OUT else "refused"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            ended(outcome)


_OUTCOMES = {"failure": "failed", "pending": "pending"}
