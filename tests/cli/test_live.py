"""watch and top: lines for pipes and scripts, a growing picture for terminals."""

from __future__ import annotations

import json

import grpc
from cli.conftest import until_shown
from cli.fake_api import HOSTILE, FakeApi
from support.terminal import Terminal
from typer.testing import CliRunner, Result

from waystation_cli.app import app


def run(api: FakeApi, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--address", api.address], catch_exceptions=False)


def test_each_entry_is_a_line_and_the_exit_code_tells_the_end(api: FakeApi) -> None:
    result = run(api, "watch", "claim-7")
    assert result.exit_code == 5, "it failed"
    *entries, end, reason = result.stdout.strip().split("\n")[:8]
    assert len(entries) == 6
    assert "workflow.started #3 claim_processor SUCCESS attempt 2 12 ms raised 1" in entries[2]
    assert "\x1b" not in result.stdout
    assert HOSTILE.removeprefix("\x1b") in entries[1]
    assert (end, reason) == ("claim-7 FAILED", "NO_PLATE in claim_validator: never found")


def test_a_script_reads_a_line_of_json_for_each_entry(api: FakeApi) -> None:
    result = run(api, "watch", "claim-7", "--from", "3", "--json")
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["sequence"] for entry in said] == [3, 4, 5, 6]
    assert said[0]["raised_event_ids"] == ["event-2"]
    assert (result.exit_code, result.stderr) == (5, "")


def test_a_broken_stream_goes_on_where_it_broke(api: FakeApi) -> None:
    api.breaks = [3, 5]
    result = run(api, "watch", "claim-7", "--json")
    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == [*range(1, 7)]
    assert "continuing with #3" in result.stderr
    assert "continuing with #5" in result.stderr


def test_a_server_that_was_never_there_is_told_at_once(api: FakeApi) -> None:
    api.refusals["WatchWorkflow"] = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "no", {})
    assert run(api, "watch", "claim-7").exit_code == 8
    assert api.calls == ["FindWorkflowIds", "WatchWorkflow"]


def test_a_terminal_shows_the_tree_and_keeps_it(terminal: Terminal) -> None:
    terminal.type("waystation watch claim-7")
    assert terminal.wait_prompt(30) == 5, terminal.output
    kept = terminal.output.splitlines()
    for words in ("#3 claim_processor SUCCESS attempt 2 12 ms", "claim.orphaned [PENDING]"):
        *_, line = [line for line in kept if words in line]
        assert line.strip().startswith(("├", "└", "│"))


def test_top_looks_on_until_it_is_interrupted(api: FakeApi, terminal: Terminal) -> None:
    terminal.type("waystation top --interval 100ms")
    until_shown(terminal, "results/s")
    for words in ("ACTIVE", "waystation.router.default", "[::1]:7500", "dl-1"):
        assert words in terminal.output
    # It looks on through a restart of the server.
    api.refusals["GetSystemStatus"] = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "no", {})
    until_shown(terminal, "retrying")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 0, terminal.output
