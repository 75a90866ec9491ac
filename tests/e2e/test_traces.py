"""One workflow is one trace, from who starts it over routers and tasks to what the tasks do: a real collector gets it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.system import Embedded
from support.waiting import eventually

SERVICE = Path(__file__).parent / "services/traced.py"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A receiver of OTLP that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(
        self, request: pb.ExportTraceServiceRequest, context: object
    ) -> pb.ExportTraceServiceResponse:
        for of_resource in request.resource_spans:
            attributes = {each.key: each.value for each in of_resource.resource.attributes}
            name = attributes["service.name"].string_value
            for of_scope in of_resource.scope_spans:
                self.spans += [(name, span) for span in of_scope.spans]
        return pb.ExportTraceServiceResponse()

    def close(self) -> None:
        self._server.stop(None).wait()

    async def got(self) -> list[tuple[str, Span]]:
        return self.spans


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def log_of_handlers(folder: Path) -> str:
    return "".join(file.read_text() for file in folder.glob("*handler*.log"))


async def test_a_workflow_is_one_trace(tmp_path: Path, collector: Collector) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    caller = trace.SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 7, True, trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    with Embedded(tmp_path, variables) as system:
        system.start_handlers(SERVICE, environment={**variables, "OTEL_SERVICE_NAME": "traced"})
        async with system.client() as client:
            with trace.use_span(trace.NonRecordingSpan(caller)):
                ended = await client.run("traced", workflow_instance_id="t-1")
            # The same start in another trace is the same start.
            again = await client.start("traced", workflow_instance_id="t-1")
        assert (ended.status, again.created) == ("COMPLETED", False)
        spans = await eventually(
            collector.got, until=lambda spans: len(spans) >= 7, what="seven spans"
        )
    by_id = {span.span_id: (service, span) for service, span in spans}
    assert {span.trace_id.hex() for _, span in spans} == {f"{caller.trace_id:032x}"}

    def path(service: str, span: Span) -> str:
        above = by_id.get(span.parent_span_id)
        if above is None:
            assert int.from_bytes(span.parent_span_id) == caller.span_id
            return f"{service}: {span.name}"
        return f"{path(*above)} > {service}: {span.name}"

    first = "waystation-dev: process first"
    second = f"{first} > waystation-dev: process second"
    assert sorted(path(*each) for each in spans) == sorted(
        [
            first,
            f"{first} > traced: first",
            f"{first} > traced: first > traced: ask the bank",
            *[second, f"{second} > traced: second"] * 2,
        ]
    )
    failed = [span.name for _, span in spans if span.status.code == span.status.STATUS_CODE_ERROR]
    assert sorted(failed) == ["process second", "second"]
    assert str(ended.output["traceparent"])[3:35] == f"{caller.trace_id:032x}"
    assert f"trace_id={caller.trace_id:032x}" in log_of_handlers(tmp_path)
