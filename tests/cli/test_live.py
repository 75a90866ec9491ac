"""watch and top: lines for pipes and scripts, a growing picture for terminals."""

from __future__ import annotations

import io
import json

import grpc
import pytest
from cli.conftest import until_shown
from cli.fake_api import HOSTILE, FakeApi, dead_letter, handler
from rich.console import Console, RenderableType
from rich.text import Text
from support.terminal import Terminal
from typer.testing import CliRunner, Result

from waystation.v1.blocker_pb2 import Blocker
from waystation.v1.system_service_pb2 import GetSystemStatusRequest
from waystation.v1.workflow_service_pb2 import ExplainWorkflowResponse
from waystation_cli.app import app
from waystation_cli.render.live import TopView, WorkflowView
from waystation_cli.render.tree import Node, folded, lines


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
    for words in ("ACTIVE", "1 router", "[::1]:7500", "amount is absurd", "f filter (all)"):
        assert words in terminal.output
    terminal.type("f")
    until_shown(terminal, "f filter (only what needs somebody)")
    # It looks on through a restart of the server.
    api.refusals["GetSystemStatus"] = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "no", {})
    until_shown(terminal, "retrying")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 0, terminal.output


def test_q_ends_top(terminal: Terminal) -> None:
    terminal.type("waystation top")
    until_shown(terminal, "q quit")
    terminal.type("q")
    assert terminal.wait_prompt(30) == 0, terminal.output


def test_ctrl_c_leaves_the_tree_and_what_the_workflow_waits_for(
    api: FakeApi, terminal: Terminal
) -> None:
    api.hold_watch = True
    terminal.type("waystation watch claim-7")
    until_shown(terminal, "#3 claim_processor SUCCESS")
    until_shown(terminal, "NO_LIVE_ENDPOINT No endpoint of claims is alive.")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 130, terminal.output
    kept = terminal.output
    for words in (
        "#3 claim_processor SUCCESS attempt 2",
        "NO_LIVE_ENDPOINT No endpoint of claims is alive.",
        "  Start a handler of the service claims.",
        "The workflow continues; `waystation watch claim-7` watches it again.",
    ):
        assert words in kept


def _drawn(view: RenderableType, height: int, width: int = 80) -> list[str]:
    shown = io.StringIO()
    console = Console(file=shown, width=width, height=height)
    console.print(view)
    return shown.getvalue().splitlines()


def test_top_fits_the_screen_and_says_what_it_left_out(api: FakeApi) -> None:
    status = api.GetSystemStatus(GetSystemStatusRequest(), None)
    status.dead_letters, status.handlers = 30, 20
    letters = [dead_letter(f"dl-{number}") for number in range(30)]
    for height in (12, 24, 60):
        view = TopView(status, [handler() for _ in range(20)], letters, "here:1", 12.0)
        lines = _drawn(view, height)
        assert len(lines) <= max(height, 16)
        assert max(map(len, lines)) <= 80
        shown = sum("amount is absurd" in line for line in lines)
        left = [line for line in lines if line.startswith("30 dead letters")]
        assert left == [
            f"30 dead letters, {30 - shown} not shown" if shown < 30 else "30 dead letters"
        ]


def test_top_shortens_a_long_cause_before_anything_else(api: FakeApi) -> None:
    status = api.GetSystemStatus(GetSystemStatusRequest(), None)
    status.deliveries = 1_234_567
    letter = dead_letter()
    letter.workflow_instance_id, letter.error.message = "claim-7-of-a-long-name", "absurd " * 40
    drawn = _drawn(TopView(status, [], [letter], "here:1", 12.0), 24)
    [line] = [line for line in drawn if "claim-7-of" in line]
    assert " ago  claim-7-of-a-long-name  claim_validator  " in line
    assert line.rstrip().endswith("…")
    assert any("1234567 deliveries off the fast path" in line for line in drawn)


def _branches(states: list[str]) -> Node:
    root = Node(Text("split"))
    for number, state in enumerate(states):
        branch = root.add(Text(f"part.wanted {number}"))
        branch.branch, branch.state = "part.wanted", state
        branch.add(Text(f"result {number}"))
    root.add(Text("joined"))
    return root


def test_many_branches_are_one_line_with_a_count_and_those_that_failed() -> None:
    states = ["done"] * 43 + ["failed"] * 2 + ["open"] * 15
    drawn = [line.plain for line in lines(folded(_branches(states), 6))]
    assert drawn == [
        "split",
        "\u251c part.wanted 43/60 done, 2 failed, 15 open",
        "\u251c part.wanted 43",
        "\u2502 \u2514 result 43",
        "\u251c part.wanted 44",
        "\u2502 \u2514 result 44",
        "\u2514 joined",
    ]
    few = _branches(["done"] * 6)
    assert [line.plain for line in lines(folded(few, 6))] == [line.plain for line in lines(few)]


def test_what_waits_for_one_thing_is_told_once() -> None:
    blocker = Blocker(
        kind="BLOCKER_KIND_IN_CALL",
        message="part is handling it",
        remedy="Wait.",
        service_name="shop",
        endpoint="127.0.0.1:7500",
    )
    asked = Blocker(kind="BLOCKER_KIND_WAITING_FOR_INPUT", message="ask asks: Go on?", remedy="Go.")
    view = WorkflowView("w-1")
    explained = ExplainWorkflowResponse(blockers=[blocker, blocker, blocker, asked])
    view.show([], [], explained)
    assert [line.plain for line in view.whole()[1:]] == [
        "WAITING_FOR_INPUT ask asks: Go on?",
        "  Go.",
        "IN_CALL part is handling it at shop 127.0.0.1:7500 (3 of these)",
    ]


@pytest.mark.parametrize(
    ("typed", "hold", "shown", "again"),
    [
        ("watch claim-7", "hold_watch", "#3 claim_processor SUCCESS", "watch claim-7"),
        ("run claim", "hold_waits", "Started claim-7", "wait claim-7"),
    ],
)
def test_the_command_after_ctrl_c_names_the_server_that_was_asked(
    typed: str, hold: str, shown: str, again: str, api: FakeApi, terminal: Terminal
) -> None:
    setattr(api, hold, True)
    terminal.type("export WAYSTATION_ADDRESS=127.0.0.1:1")
    assert terminal.wait_prompt(10) == 0
    terminal.type(f"waystation {typed} --address {api.address}")
    until_shown(terminal, shown)
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 130, terminal.output
    assert f"`waystation {again} --address {api.address}` " in terminal.output


def test_top_tells_which_dead_letters_need_nobody(api: FakeApi) -> None:
    shown = api.GetSystemStatus(GetSystemStatusRequest(), None)
    shown.dead_letters = 4
    view = TopView(shown, [], [dead_letter()], "here:1", 1.0, 1)
    assert "4 dead letters (1 of ended workflows, to discard only), 3 not shown" in _drawn(view, 24)
