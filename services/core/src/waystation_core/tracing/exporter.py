"""Where spans go: to a collector, by OTLP over gRPC, as OpenTelemetry's own variables (OTEL_...) say.

The packages are an extra (`waystation-core[traces]`), imported only when the variables ask for traces.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from waystation_core.rpc.settings import BadSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from waystation_core.tracing.root_traces import RootTraces

FLUSH_SECONDS = 2.0
"""How long the end of a process waits for its last spans."""

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class TraceExport:
    """Sends the spans of this process from a thread of its own. A collector that is away costs spans, nothing else."""

    def __init__(self, provider: TracerProvider, roots: RootTraces) -> None:
        self._provider = provider
        self.tracer: Tracer = provider.get_tracer("waystation")
        self.roots = roots
        self.sampler = provider.sampler

    @classmethod
    def of(cls, environ: Mapping[str, str], service: str) -> TraceExport | None:
        """None if the variables ask for no traces. `service` is the service's name unless they say another. Raises
        BadSettings for what cannot be done."""
        if not _is_wanted(environ):
            return None
        faults = list(_faults(environ))
        if faults:
            raise BadSettings(faults)
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            from waystation_core.tracing.root_traces import RootTraces
        except ImportError:
            raise BadSettings(
                [
                    "The OTEL_ variables ask for traces, but OpenTelemetry is not installed: install "
                    "waystation-core[traces], or set OTEL_TRACES_EXPORTER=none"
                ]
            ) from None
        name = environ.get("OTEL_SERVICE_NAME") or service
        roots = RootTraces()
        provider = TracerProvider(
            resource=Resource.create({"service.name": name}),
            id_generator=roots,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider, roots)

    def close(self) -> None:
        """Sends what is left, within FLUSH_SECONDS."""
        # A thread: with a collector that does not answer, the exporter waits longer than a process may stop.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)


def _is_wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter != "none"
    return any(environ.get(name) for name in _ENDPOINTS)


def _faults(environ: Mapping[str, str]) -> list[str]:
    faults = []
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp"):
        faults.append(f"OTEL_TRACES_EXPORTER: {exporter!r} is neither otlp nor none")
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "grpc")
    if protocol != "grpc":
        faults.append(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not grpc, by which spans are sent"
        )
    return faults
