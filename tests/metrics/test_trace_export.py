"""OpenTelemetry's variables decide whether a server sends spans; what cannot be done is said at its start."""

from __future__ import annotations

import sys

import pytest

from waystation_core.rpc.settings import BadSettings
from waystation_core.tracing.exporter import TraceExport

ASKED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "routers"},
        {**ASKED, "OTEL_SDK_DISABLED": "true"},
        {**ASKED, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_sent_that_nobody_asked_for(variables: dict[str, str]) -> None:
    assert TraceExport.of(variables, "waystation-router") is None


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin'"),
        ({**ASKED, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "'http/json' is not grpc"),
    ],
)
def test_what_cannot_be_sent_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        TraceExport.of(variables, "waystation-router")


def test_without_the_packages_a_server_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadSettings, match=r"install waystation-core\[traces\]"):
        TraceExport.of(ASKED, "waystation-router")


def test_a_collector_that_is_away_holds_up_no_end() -> None:
    export = TraceExport.of(ASKED, "waystation-router")
    assert export is not None
    export.tracer.start_span("lost").end()
    export.close()
