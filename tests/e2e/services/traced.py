"""Two tasks, one after the other, in a program that sends its spans to the collector of the OTEL_ variables."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from waystation_worker import HandlerService, TaskContext

service = HandlerService("traced", version="1.0.0")


@service.task(events=["workflow.started"], workflow_types=["traced"])
async def first(ctx: TaskContext) -> None:
    with trace.get_tracer("traced").start_as_current_span("ask the bank"):
        ctx.emit("asked")


@service.task(events=["asked"], workflow_types=["traced"])
def second(ctx: TaskContext) -> None:
    if ctx.attempt == 1:
        raise RuntimeError("once more")
    ctx.complete({"traceparent": ctx.traceparent})


if __name__ == "__main__":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    service.run()
