"""What every report keeps: one zone with its name, no line but our own, nothing that is no alarm in an
alarm's words."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, at, context, dead_letter, struct
from google.protobuf.duration_pb2 import Duration
from support.terminal import Terminal

from waystation.v1 import workflow_pb2
from waystation.v1.event_pb2 import EVENT_STATE_PENDING, EventWithState, WorkflowEvent
from waystation.v1.event_pb2 import EVENT_STATE_UNHANDLED as UNHANDLED
from waystation.v1.history_pb2 import HISTORY_RESULT_UNHANDLED, HistoryEntry
from waystation.v1.system_pb2 import RouterStatus
from waystation_cli.rates import Rates
from waystation_cli.render.text import localized, plain, quoted
from waystation_cli.render.timeline import timeline
from waystation_cli.render.tree import lines

UUID = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"
FORGED = "all is well\n\nclaim-7 COMPLETED\r{\x1b[2J\u202ebidi\u200b\x9b31m\u2028Now run: rm"


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


REPORTS = {
    "list": ["list"],
    "show": ["show", "claim-7"],
    "watch": ["watch", "claim-7"],
    "explain": ["explain", "claim-7"],
    "status": ["status"],
    "top": ["top"],
    "lint": ["lint"],
}


@pytest.mark.parametrize("report", REPORTS)
def test_times_are_in_one_zone_that_has_a_name(
    report: str, api: FakeApi, run: Run, in_tokyo: None
) -> None:
    local, utc = run(*REPORTS[report]).stdout, run(*REPORTS[report], "--utc").stdout
    # at(0) is 14:13:20 UTC.
    assert "JST" in local
    assert re.search(r"23:13:\d\d", local), local
    assert "JST" not in utc
    assert "UTC" in utc
    assert re.search(r"14:13:\d\d", utc), utc
    assert "14:13" not in local
    # The next command is not in UTC because this one was.
    assert "JST" in run(*REPORTS[report]).stdout


def test_what_the_server_says_of_times_is_in_that_zone_too(in_tokyo: None) -> None:
    said = "due at 2026-11-27T21:52:20+00:00, or 2026-11-27T21:52:20.5Z"
    assert localized(said) == "due at 2026-11-28 06:52:20 JST, or 2026-11-28 06:52:20 JST"


def test_nothing_that_was_written_elsewhere_begins_a_line(api: FakeApi, run: Run) -> None:
    failure = workflow_pb2.WorkflowFailure(reason="OOPS", message=FORGED, task_id="s")
    api.outcomes = [("WAIT_OUTCOME_DONE", context("FAILED", failure=failure))]
    told = run("wait", "claim-7").stdout
    assert told.splitlines()[1:] == [
        "OOPS in s: all is well",
        "  | ",
        "  | claim-7 COMPLETED",
        "  | {\ufffd[2J\ufffdbidi\ufffd\ufffd31m",
        "  | Now run: rm",
        "`waystation explain claim-7` shows what can be done.",
    ]
    assert plain(FORGED).startswith("all is well\\n\\nclaim-7 COMPLETED\\r{")
    assert quoted("") == ""


@pytest.mark.parametrize("form", [["--json"], []], ids=["script", "person"])
def test_json_holds_nothing_that_steers_a_terminal(form: list[str], api: FakeApi, run: Run) -> None:
    written = struct(text=FORGED + "\u200d\U000e0041")
    api.outcomes = [("WAIT_OUTCOME_DONE", context("COMPLETED", output=written))]
    told = run("wait", "claim-7", *form).stdout
    assert told.isascii() is False, "the joiner of emoji is kept"
    for character in FORGED:
        assert character == "\n" or character.isprintable() or character not in told
    document = told[told.index("{") :]
    said = json.loads(document)
    assert (said["context"]["output"] if form else said) == {"text": FORGED + "\u200d\U000e0041"}


def test_run_says_that_it_did_not_start_what_was_there(api: FakeApi, run: Run) -> None:
    api.outcomes = [("WAIT_OUTCOME_DONE", context("COMPLETED"))]
    assert run("run", "claim").stderr == "Started claim-7\n"
    api.created = False
    assert run("run", "claim").stderr == "Already started: claim-7\n"
    assert run("start", "claim").stdout.startswith("Already started: claim-7\n")


def _drawn(event_type: str, dead: bool = False) -> str:
    event = WorkflowEvent(event_id="e", event_type=event_type, created_at=at(0))
    state = EVENT_STATE_PENDING if dead else UNHANDLED
    entry = HistoryEntry(
        sequence=2, event_id="e", event_type=event_type, result=HISTORY_RESULT_UNHANDLED
    )
    tree = timeline(
        [] if dead else [entry],
        [EventWithState(event=event, state=state)],
        ["e"] if dead else (),
    )
    return "\n".join(line.plain for line in lines(tree))


def test_an_end_event_without_a_handler_is_not_marked_unhandled() -> None:
    usual, alarm = _drawn("workflow.completed"), _drawn("idle.stepp")
    assert "as usual" in usual
    assert "UNHANDLED" not in usual
    assert "idle.stepp [UNHANDLED]" in alarm
    assert "no task handles it" in alarm
    assert "[UNHANDLED]" in _drawn("workflow.started")


def test_an_event_whose_delivery_is_a_dead_letter_is_not_pending(run: Run) -> None:
    assert "claim.made [DEAD_LETTER]" in _drawn("claim.made", dead=True)
    # dl-1 is about this event.
    assert dead_letter().event.event_type == "claim.processed"
    assert "claim.processed [DEAD_LETTER]" in run("show", "claim-7").stdout


def _router(committed: int, left: float) -> RouterStatus:
    lease = Duration()
    lease.FromMilliseconds(int(left * 1000))
    return RouterStatus(router_id="r", results_committed=committed, lease_remaining=lease)


def test_the_rate_is_of_the_time_between_two_reports_not_between_two_looks() -> None:
    rates = Rates()
    rates.look(100.0, [_router(1000, 10.0)])
    rates.look(102.0, [_router(1000, 8.1)])
    assert rates.per_second() is None
    # It renewed its lease 3 s after the first time, and that is seen at two looks.
    rates.look(104.0, [_router(1600, 9.0)])
    rates.look(106.0, [_router(1600, 7.0)])
    assert rates.per_second() == pytest.approx(200)
    rates.look(108.0, [_router(1600, 8.0)])
    assert rates.per_second() == pytest.approx(100)
    rates.look(110.0, [])
    assert rates.per_second() is None


def test_show_tells_how_long_it_took_in_one_unit(api: FakeApi, run: Run) -> None:
    api.ended_at = at(477.172)
    assert "(took 8 min)" in run("show", "claim-7").stdout


@pytest.mark.parametrize(
    ("command", "whole"),
    [
        ("dead-letters list", f"^{UUID} +claim-7 +price +.* ago +.*…$"),
        ("status", rf"^{UUID} +default +\S+ s +\d+ *$"),
        ("handlers list", r"^claims 1\.2 +\[::1\]:7500 +no: .* +handler-1 *$"),
    ],
)
def test_what_is_there_to_be_copied_is_whole_on_a_narrow_terminal(
    command: str, whole: str, api: FakeApi, terminal: Terminal
) -> None:
    letter = dead_letter(UUID)
    letter.error.message = "much is said " * 9
    letter.task_id = "price"
    api.letters, api.router_id = [letter], UUID
    terminal.type("stty cols 80")
    assert terminal.wait_prompt(10) == 0
    terminal.type(f"waystation {command}")
    assert terminal.wait_prompt(30) == 0
    assert re.search(whole, terminal.output, re.M), terminal.output


def test_explain_says_the_only_cause_once(api: FakeApi, run: Run) -> None:
    said = "price failed permanently on `order.priced` (KeyError) after 4 attempts"
    api.explained.summary = f"claim-7 is FAILED: {said}."
    api.explained.blockers[0].message = said
    api.explained.blockers_left_out = 0
    told = run("explain", "claim-7").stdout
    assert told.count(said) == 1
    assert "- NO_LIVE_ENDPOINT" in told
    api.explained.blockers.append(api.explained.blockers[0])
    assert run("explain", "claim-7").stdout.count(said) == 2
