"""Metrics, their page, dashboards, alarms and the runbook say the same, and the alarms do what the runbook says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from scripts.metrics_page import page
from waystation_core.metrics import definitions
from waystation_worker import metrics as handler_metrics

ROOT = Path(__file__).resolve().parents[2]
RULES_FILE = ROOT / "deploy/prometheus/waystation.rules.yml"
RULES_TEST = RULES_FILE.with_name("waystation.rules_test.yml")
RULES: list[dict[str, Any]] = yaml.safe_load(RULES_FILE.read_text())["groups"][0]["rules"]
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))

OF_TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""
OF_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up"}
"""Metrics of the client library, and of Prometheus itself."""


def _labels() -> dict[str, set[str]]:
    """The labels of each series, by its name as queries have it."""
    found: dict[str, set[str]] = {name: set() for name in OF_PROCESS}
    kinds = [(each.name, each.kind.value, each.labels) for each in definitions.ALL]
    kinds += [(each.name, each.kind, each.labels) for each in handler_metrics.ALL]
    for name, kind, labels in kinds:
        if kind == "histogram":
            found[f"{name}_bucket"] = {*labels, "le"}
            found[f"{name}_sum"] = found[f"{name}_count"] = set(labels)
        else:
            found[name] = set(labels)
    return found


LABELS = _labels()


def _panels() -> Iterator[tuple[str, str]]:
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


QUERIES = [*_panels(), *((rule["alert"], rule["expr"]) for rule in RULES)]


def _parsed(query: str) -> Any:
    return promql.parse(query.replace("$__rate_interval", "5m"))


def _selectors(part: Any) -> Iterator[Any]:
    if isinstance(part, promql.VectorSelector):
        yield part
    for name in ("vector_selector", "expr", "lhs", "rhs"):
        if (inner := getattr(part, name, None)) is not None:
            yield from _selectors(inner)
    for argument in getattr(part, "args", ()):
        yield from _selectors(argument)


def _groupings(part: Any) -> Iterator[tuple[set[str], set[str]]]:
    """The labels of each `by`, with the series that it groups."""
    if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
        yield set(part.modifier.labels), {each.name for each in _selectors(part.expr)}
    for name in ("expr", "lhs", "rhs"):
        if (inner := getattr(part, name, None)) is not None:
            yield from _groupings(inner)
    for argument in getattr(part, "args", ()):
        yield from _groupings(argument)


def test_the_page_has_the_metrics_of_today() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert text == page(text), "run .venv/bin/python scripts/metrics_page.py"


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_a_query_asks_for_series_and_labels_that_there_are(place: str, query: str) -> None:
    parsed = _parsed(query)
    selectors = list(_selectors(parsed))
    assert selectors
    for selector in selectors:
        assert selector.name in LABELS, selector.name
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched <= LABELS[selector.name] | OF_TARGET, selector.name
    for labels, names in _groupings(parsed):
        known = set.union(OF_TARGET, *(LABELS[name] for name in names))
        assert labels <= known, f"{labels - known} of {names}"


def test_every_metric_is_shown_or_watched() -> None:
    asked = {selector.name for _, query in QUERIES for selector in _selectors(_parsed(query))}
    defined = {each.name for each in (*definitions.ALL, *handler_metrics.ALL)}
    assert {
        name
        for name in defined
        if not asked & {name, f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    } == set()


def test_names_follow_the_rules_of_prometheus() -> None:
    for each in definitions.ALL:
        assert re.fullmatch(r"(waystation|rpc)_[a-z_]+", each.name)
        assert each.help.endswith(".")
        assert (each.kind is definitions.Kind.COUNTER) == each.name.endswith("_total"), each.name
        forbidden = {"endpoint", "address", "workflow_instance_id", "event_id", "reason", "message"}
        assert forbidden.isdisjoint(each.labels)


def test_every_alarm_has_its_section_of_the_runbook_and_no_section_is_left_over() -> None:
    runbook = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    chapter = runbook.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    sections = set(re.findall(r"^### (Waystation\w+)$", chapter, re.M))
    assert sections == {rule["alert"] for rule in RULES}
    for rule in RULES:
        anchor = f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == anchor
        assert rule["labels"]["severity"] in ("critical", "warning")
        section = chapter.partition(f"### {rule['alert']}\n")[2].partition("\n### ")[0]
        assert "- Look at:" in section, rule["alert"]
        assert "- Do:" in section, rule["alert"]


def test_every_alarm_is_tried_with_series_that_fire_it_and_with_some_that_do_not() -> None:
    tried = {each["name"] for each in yaml.safe_load(RULES_TEST.read_text())["tests"]}
    alarms = [rule["alert"] for rule in RULES]
    assert tried == {f"{alarm} {what}" for alarm in alarms for what in ("fires", "is quiet")}


def test_the_alarms_fire_when_they_should_and_only_then() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: scripts/install-packages prometheus"
    for kind, file in (("rules", RULES_FILE), ("config", RULES_FILE.with_name("prometheus.yml"))):
        _run(promtool, "check", kind, file.name)
    _run(promtool, "test", "rules", RULES_TEST.name)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=RULES_FILE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
