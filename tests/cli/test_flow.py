"""lint and graph: exit codes, and pictures that Mermaid and Graphviz can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, finding, flow
from hypothesis import given
from hypothesis import strategies as st
from support.examples import examples

from waystation.v1.flow_pb2 import FLOW_ORIGIN_BOTH, FlowEvent, FlowRaise, FlowTask, WorkflowFlow
from waystation_cli.outcome import REFUSED
from waystation_cli.render import graph

PICTURES = Path(__file__).with_name("flows")


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_only_errors_fail_the_lint(as_json: list[str], api: FakeApi, run: Run) -> None:
    for severities, exit_code in (([], 0), (["INFO", "WARNING"], 0), (["ERROR", "INFO"], 1)):
        api.findings = [finding(severity) for severity in severities]
        assert run("lint", *as_json).exit_code == exit_code
    api.findings = []
    if not as_json:
        assert run("lint").stdout.startswith("No findings in 1 workflow type")


@pytest.mark.parametrize("command", ["lint", "graph"])
def test_a_misspelt_type_does_not_pass_for_a_sound_one(
    command: str, api: FakeApi, run: Run
) -> None:
    api.flows, api.findings = [], []
    result = run(command, "--type", "clam")
    assert result.exit_code == REFUSED
    assert "No workflow type clam is known" in result.stderr
    assert run(command).exit_code == 0


@pytest.mark.parametrize("format", ["mermaid", "dot"])
def test_the_picture_is_the_one_that_was_checked_by_eye(
    format: str, api: FakeApi, run: Run
) -> None:
    drawn = run("graph", "--format", format).stdout
    assert drawn == (PICTURES / f"claim.{format}").read_text(encoding="utf-8")


# --- small grammars: what the two programs accept of what is written here ------------------------

_ID = r"[a-z][a-z0-9]*"
_MERMAID_LABEL = r'"(?:[^"#<>`\n]|\#\d+;|<br/>)*"'
_MERMAID = re.compile(
    rf"""flowchart\ LR\n
    (?:\ \ subgraph\ {_ID}\ \[{_MERMAID_LABEL}\]\n
        (?:\ {{4}}{_ID}(?:\(\[{_MERMAID_LABEL}\]\)|\[{_MERMAID_LABEL}\]|\(\({_MERMAID_LABEL}\)\))
            (?::::{_ID})?\n)*
        (?:\ {{4}}{_ID}\ (?:-->|-\.->)(?:\|{_MERMAID_LABEL}\|)?\ {_ID}\n)*
    \ \ end\n)*
    (?:\ \ classDef\ {_ID}\ \S+(?:\ \S+)*\n)*
    (?:\ \ linkStyle\ \d+(?:,\d+)*\ \S+\n)?""",
    re.X,
)
_DOT_STRING = r'"(?:[^"\\]|\\.)*"'
_DOT_LIST = rf"\[[a-z]+=(?:{_DOT_STRING}|\w+)(?:,\ [a-z]+=(?:{_DOT_STRING}|\w+))*\]"
_DOT = re.compile(
    rf"""digraph\ {_ID}\ \{{\n
    (?:\ \ (?:rankdir=LR|(?:node|edge)\ {_DOT_LIST});\n)*
    (?:\ \ subgraph\ cluster_\d+\ \{{\n
        \ {{4}}label={_DOT_STRING};\n
        (?:\ {{4}}{_ID}(?:\ ->\ {_ID})?(?:\ {_DOT_LIST})?;\n)*
    \ \ \}}\n)*
    \}}\n""",
    re.X,
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
HOSTILE = st.sampled_from(
    ['"', "end", "]", "#", "`a`", "<b>", "\\", "%%", "; x --> y", "|", "1. a"]
)


@examples(0.4)
@given(st.lists(NAMES | HOSTILE, min_size=4, max_size=4, unique=True), st.booleans())
def test_no_name_breaks_the_picture(names: list[str], twice: bool) -> None:
    task, event, other, workflow_type = names
    one = WorkflowFlow(
        workflow_type=workflow_type,
        tasks=[FlowTask(task_id=task, spec={}, live=True)],
        events=[FlowEvent(event_type=event), FlowEvent(event_type=other, unhandled=1)],
        raises=[
            FlowRaise(raised_by=by, event_type=event, origin=FLOW_ORIGIN_BOTH, count=1)
            for by in (task, "client", "not there")
        ],
    )
    flows = [one, flow()] if twice else [one]
    assert _MERMAID.fullmatch(graph.mermaid(flows)), graph.mermaid(flows)
    assert _DOT.fullmatch(graph.dot(flows)), graph.dot(flows)


def test_the_failed_edges_are_those_that_are_styled() -> None:
    drawn = graph.mermaid([flow(), flow()])
    edges = re.findall(r"^    \S+ -.*$", drawn, re.M)
    styled = re.search(r"linkStyle (\S+) ", drawn)
    assert styled is not None
    failed = [at for at, edge in enumerate(edges) if "failed" in edge]
    assert [int(at) for at in styled[1].split(",")] == failed
    assert len(failed) == 2
