"""diff and replay: what a person reads of differences, what a script gets, and their exit codes."""

from __future__ import annotations

import json

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, replay_steps


def test_a_replay_is_read_like_a_diff(api: FakeApi, run: Run) -> None:
    result = run("replay", "claim-7", "--from", "2", "--to", "6", "--task", "a", "--failed")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "#3 claim_processor on workflow.started attempt 2 differs (version 1 then, 2 now)",
        "  data",
        "  - /amount: 120",
        "  + /amount: 100",
        "  + /rebate: 20",
        "  events",
        "    claim.processed",
        "  - /payload/amount: 120",
        '  + claim.audited: {"payload": {"by": "\\u001b[2Jno such plate [bold]"}}',
        "#4 user_input_required on claim.processed skipped: the task is not registered as replayable",
        "2 attempts: 1 differs, 1 skipped",
    ]
    request = api.requests["ReplayWorkflow"]
    # The second portion's.
    assert (request.from_sequence, request.to_sequence) == (4, 6)
    assert (list(request.task_ids), request.failed_attempts) == (["a"], True)
    as_json = run("replay", "claim-7", "--json")
    assert as_json.exit_code == 1
    said = json.loads(as_json.stdout)
    assert [step["sequence"] for step in said["steps"]] == [3, 4]
    assert said["steps"][0]["differences"][1] == {"path": "/rebate", "replayed": 20}


def test_only_a_replay_that_compared_something_exits_with_zero(api: FakeApi, run: Run) -> None:
    del api.steps[0]
    skipped = run("replay", "claim-7")
    assert (skipped.exit_code, "Nothing was compared." in skipped.stdout) == (1, True)
    api.steps.clear()
    nothing = run("replay", "claim-7")
    assert (nothing.exit_code, "no attempt to replay" in nothing.stdout) == (1, True)
    step = replay_steps()[0]
    step.ClearField("differs")
    step.outcome = "REPLAY_OUTCOME_SAME"
    api.steps = [step]
    assert run("replay", "claim-7").exit_code == 0
    assert run("replay", "claim-7", "--timeout", "11m").exit_code == 2


def test_diff_compares_two_moments(api: FakeApi, run: Run) -> None:
    changed = run("diff", "claim-7", "2", "5")
    assert changed.exit_code == 1
    assert changed.stdout.splitlines()[1:] == ["data", "- /amount: 102", "+ /amount: 105"]
    assert run("diff", "claim-7", "2", "2").exit_code == 0
    now = run("diff", "claim-7", "2", "--json")
    assert (now.exit_code, api.requests["GetWorkflow"].at_sequence) == (1, 0)
    said = json.loads(now.stdout)
    assert {"path": "/plates", "before": ["B-X 1"]} in said["data"]
    assert {"path": "/status", "before": "ACTIVE", "after": "FAILED"} in said["instance"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--at", "0"],
        ["--at", "1", "--set", "/a"],
        ["--at", "1", "--set", "/a=b"],
        ["--at", "1", "--payload", "{}"],
        ["--at", "1", "--event", "a", "--event-of", "2"],
    ],
)
def test_a_fork_that_can_not_be_meant_is_refused(
    api: FakeApi, run: Run, arguments: list[str]
) -> None:
    assert run("fork", "claim-7", *arguments).exit_code == 2
    assert api.calls == []
