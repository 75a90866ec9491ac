"""The demo does what people would do, and believes nothing: it compares each ending with its file."""

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from insurance_claim.demo.claim_files import DEFAULT_FOLDER, ClaimFile, Ending, read_claims
from insurance_claim.demo.run import Result, Run
from insurance_claim.demo.screen import Screen
from insurance_claim.demo.timeline import draw_timeline
from waystation.v1 import dead_letter_pb2, history_pb2
from waystation_worker import EventWithState, Failure, Wait, Workflow, WorkflowNotFound
from waystation_worker.workflows import to_history_entry

APPROVED = {"decision": "APPROVED", "because": "plausible", "payout": 5, "currency": "EUR"}
ENDING = Ending("COMPLETED", "APPROVED", waits=0, dead_letters=0, payout=5)


def workflow(status: str, **more: Any) -> Workflow:
    """Gives an instance as the client would."""
    return Workflow("id", "insurance_claim", status, 1, {}, **more)


DONE = workflow("COMPLETED", output=APPROVED)
WAITING = workflow("WAITING_FOR_INPUT", waits=(Wait("w", "t", "Which day?", None, None),))
BROKEN = workflow("FAILED", failure=Failure("UNREADABLE_TEXT", "a scan", "claim_processor", "e"))
IDLE = workflow("ACTIVE", outcome="IDLE")


class ScriptedClient:
    """Answers each wait with the next instance of a script, and notes the inputs."""

    def __init__(self, script: list[Workflow]) -> None:
        self.script = script
        self.inputs: list[dict[str, Any]] = []

    async def start(self, *_: Any, **__: Any) -> Workflow:
        return workflow("ACTIVE")

    async def wait(self, *_: Any, **__: Any) -> Workflow:
        if not self.script:
            raise WorkflowNotFound("it is gone")
        return self.script.pop(0)

    async def provide_input(self, _: str, given: dict[str, Any]) -> None:
        self.inputs.append(given)

    async def explain(self, _: str) -> Any:
        return SimpleNamespace(summary="no task handles claim.procesed")

    async def events(self, _: str) -> AsyncIterator[EventWithState]:
        for event_type in ("workflow.started", "claim.processed"):
            yield EventWithState("e", event_type, "SETTLED", {}, "client", None, 100, None)


class ScriptedOperator:
    """Finds a dead letter each time, and notes the retries."""

    def __init__(self) -> None:
        self.retried: list[dict[str, Any]] = []

    async def dead_letter_of(self, _: str) -> dead_letter_pb2.DeadLetter:
        return dead_letter_pb2.DeadLetter(dead_letter_id="d")

    async def retry(self, _: str, payload: dict[str, Any]) -> None:
        self.retried.append(payload)


async def demonstrate(
    claim: ClaimFile, script: list[Workflow], monkeypatch: pytest.MonkeyPatch
) -> tuple[Result, ScriptedClient, ScriptedOperator, str]:
    """Runs one claim against a script; gives its result and what was printed."""
    monkeypatch.setattr("insurance_claim.demo.run.THINKING_SECONDS", (0.0, 0.0))
    client, operator = ScriptedClient(script), ScriptedOperator()
    printed = io.StringIO()
    with Screen(Console(file=printed, width=200), [claim.name]) as screen:
        (result,) = await Run(client, operator, screen).all([claim])  # type: ignore[arg-type]
    return result, client, operator, printed.getvalue()


def claim_file(expected: Ending, **more: Any) -> ClaimFile:
    """Gives a claim that should end so."""
    return ClaimFile(
        "car-x", "Why not.", {"text": "x"}, more.get("answers", []), expected, more.get("rescue")
    )


async def test_an_ending_as_the_file_says_is_a_success_and_any_difference_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, *_, printed = await demonstrate(claim_file(ENDING), [DONE], monkeypatch)
    assert result.as_expected
    assert result.events == 2
    assert "COMPLETED" in printed
    for other in (
        Ending("COMPLETED", "APPROVED", waits=1, dead_letters=0, payout=5),
        Ending("COMPLETED", "APPROVED", waits=0, dead_letters=1, payout=5),
        Ending("COMPLETED", "APPROVED", waits=0, dead_letters=0, payout=6),
        Ending("COMPLETED", "REFERRED", waits=0, dead_letters=0, payout=5),
        Ending("FAILED", "APPROVED", waits=0, dead_letters=0, payout=5),
    ):
        result, *_ = await demonstrate(claim_file(other), [DONE], monkeypatch)
        assert not result.as_expected


async def test_waits_are_answered_in_turn_and_a_dead_letter_is_rescued_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = claim_file(
        Ending("COMPLETED", "APPROVED", waits=2, dead_letters=1, payout=5),
        answers=[{"a": 1}, {"b": 2}],
        rescue={"text": "typed off"},
    )
    script = [WAITING, BROKEN, WAITING, DONE]
    result, client, operator, printed = await demonstrate(claim, script, monkeypatch)
    assert result.as_expected
    assert client.inputs == [{"a": 1}, {"b": 2}]
    assert operator.retried == [{"text": "typed off"}]
    assert "Which day?" in printed
    result, *_ = await demonstrate(claim, [BROKEN, BROKEN, DONE], monkeypatch)
    assert not result.as_expected


async def test_a_claim_that_stands_still_or_is_lost_is_told_and_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, *_, printed = await demonstrate(claim_file(ENDING), [IDLE], monkeypatch)
    assert not result.as_expected
    assert "claim.procesed" in printed
    result, *_, printed = await demonstrate(claim_file(ENDING), [WAITING], monkeypatch)
    assert not result.as_expected
    result, *_, printed = await demonstrate(claim_file(ENDING), [], monkeypatch)
    assert result.problem == "it is gone"


def test_on_a_terminal_the_live_table_shows_the_newest_event_of_what_still_runs() -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=100, height=40)
    with Screen(console, ["car-x", "home-y"]) as screen:
        screen.started("car-x")
        screen.tell("car-x", "ACTIVE", "why")
        screen.now("car-x", "claim.processed")
        screen.ended("home-y", "COMPLETED", "APPROVED")
        screen.now("home-y", "too.late")
    assert "claim.processed" in printed.getvalue()
    assert "too.late" not in printed.getvalue()


def test_the_timeline_hangs_every_event_under_what_raised_it() -> None:
    start = datetime(2025, 3, 10, tzinfo=UTC)
    history = []
    done = history_pb2.HISTORY_RESULT_SUCCESS
    for sequence, (event_id, task, raised) in enumerate(
        [
            ("e1", "client", ["e1"]),
            ("e1", "claim_processor", ["e2"]),
            ("e2", "parallel_processor", ["e3"]),
            ("e4", "system", ["e4"]),
        ],
        start=1,
    ):
        entry = history_pb2.HistoryEntry(
            sequence=sequence, event_id=event_id, processed_by=task, result=done
        )
        history.append(entry)
        entry.raised_event_ids.extend(raised)
        entry.base_version, entry.version = sequence - 1, sequence
    history[0].action = "start"
    history[2].error.reason = "LOST"
    history[3].action = "fan_in"
    events = [
        EventWithState(
            f"e{number}",
            event_type,
            "SETTLED",
            {},
            raised_by,
            cause,
            100,
            start + timedelta(milliseconds=number),
        )
        for number, event_type, raised_by, cause in (
            (1, "workflow.started", "client", None),
            (2, "claim.processed", "claim_processor", "e1"),
            (3, "risk.assessment.requested", "parallel_processor", "e2"),
            (4, "parallel.processing.completed", "parallel_processor", "e2"),
        )
    ]
    printed = io.StringIO()
    shown = workflow("COMPLETED", created_at=start)
    Console(file=printed, width=100).print(
        draw_timeline(shown, list(map(to_history_entry, history)), events)
    )
    lines = [line.rstrip() for line in printed.getvalue().splitlines()]
    assert lines == [
        "id  COMPLETED",
        "└── workflow.started  +1 ms",
        "    ├── #1 start by client",
        "    └── #2 claim_processor done",
        "        └── claim.processed  +2 ms",
        "            └── #3 parallel_processor done  LOST:",
        "                ├── risk.assessment.requested  +3 ms",
        "                └── parallel.processing.completed  +4 ms",
        "                    └── #4 fan in by system",
    ]


def test_claim_files_are_read_and_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    claims = read_claims(DEFAULT_FOLDER)
    assert len(claims) >= 24
    assert sum(claim.rescue_payload is not None for claim in claims) == 1
    with pytest.raises(FileNotFoundError, match="--claims"):
        read_claims(tmp_path)
    content = {"why": "w", "claim": {}, "answers": [], "expected": {"state": "?"}}
    (tmp_path / "odd.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(TypeError, match="state"):
        read_claims(tmp_path)
