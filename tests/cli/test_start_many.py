"""start --many: a line of the file, a line of the answer."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
from cli.conftest import Run
from cli.fake_api import FakeApi


def test_each_line_is_started_and_answered(api: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "claims.ndjson"
    file.write_text(
        '{"data": {"text": "K\u00e4fer"}, "workflow_instance_id": "claim-7"}\n'
        "\n"
        '{"workflow_type": "refund", "workflow_timeout": "2h", "priority": 9}\n',
        encoding="utf-8",
    )
    done = run("start", "claim", "--many", str(file), "--request-id", "r")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["1: claim-7", "3: claim-7"]
    # Both are on their way at once.
    first, second = sorted(
        (request for rpc, request in api.received if rpc == "StartWorkflow"),
        key=lambda request: str(request.request_id),
    )
    assert (first.workflow_type, first.request_id) == ("claim", "r-1")
    assert (second.workflow_type, second.priority, second.request_id) == ("refund", 9, "r-3")
    assert second.timeout.seconds == 7200


def test_a_bad_line_is_named_and_the_others_are_started(api: FakeApi, run: Run) -> None:
    lines = ["nonsense", '{"data": {}}', '{"workflow_type": "t", "dat": 1}', "[]", '{"data": 5}']
    lines[4] = '{"workflow_type": "t", "data": {"n": 5}}'
    done = run("start", "--many", "-", "--json", stdin="\n".join(lines))
    assert done.exit_code == 7
    answers = {one["line"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == {1, 2, 3, 4, 5}
    assert answers[5] == {"line": 5, "workflow_instance_id": "claim-7", "created": True}
    assert "no workflow_type" in answers[2]["error"]["message"]
    assert "'dat'" in answers[3]["error"]["message"]
    failure = json.loads(done.stderr)["error"]
    assert (failure["reason"], failure["metadata"]) == ("SOME_NOT_STARTED", {"not_started": "4"})
    assert api.calls.count("StartWorkflow") == 1


def test_a_refusal_of_the_server_is_told_at_its_line(api: FakeApi, run: Run) -> None:
    refusal = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PRIORITY", "out of range", {})
    api.refusals["StartWorkflow"] = refusal
    done = run("start", "t", "--many", "-", stdin='{"priority": 256}')
    assert done.exit_code == 7
    assert done.stdout == "1: not started: out of range (INVALID_ARGUMENT / INVALID_PRIORITY)\n"


def test_the_line_or_the_options_say_what_to_start(run: Run) -> None:
    assert run("start").exit_code == 2
    both = run("start", "t", "--many", "-", "--data", "{}", stdin="{}")
    assert both.exit_code == 2
    assert "with --many" in both.stderr
    missing = run("start", "t", "--many", "nowhere.ndjson")
    assert missing.exit_code == 2
    assert "nowhere.ndjson" in missing.stderr


def test_a_dry_run_names_each_line_and_sends_nothing(api: FakeApi, run: Run) -> None:
    lines = '{"workflow_instance_id": "claim-7"}\n{"dat": 1}\n{"workflow_type": "refund"}\n'
    done = run("start", "claim", "--many", "-", "--dry-run", stdin=lines)
    assert done.exit_code == 7
    first, second, third = done.stdout.splitlines()
    assert (first, third) == ("1: would be started (claim)", "3: would be started (refund)")
    assert second.startswith("2: not started: unknown field 'dat'")
    assert api.calls == []
    good = run("start", "claim", "--many", "-", "--dry-run", "--json", stdin="{}")
    assert json.loads(good.stdout) == {"line": 1, "workflow_instance_id": ""}
    assert run("start", "claim", "--dry-run").exit_code == 2
