"""Tables and trees by the columns that a terminal needs for them, whatever is written in them."""

from __future__ import annotations

import io
import re

import pytest
from cli.fake_api import at, context, dead_letter, handler, history, waits
from rich.cells import cell_len
from rich.console import Console, RenderableType

from waystation.v1.history_pb2 import AttemptError, HistoryEntry
from waystation_cli.render.attempts import bar, print_attempts
from waystation_cli.render.dead_letters import letter_table
from waystation_cli.render.endpoints import endpoint_table
from waystation_cli.render.overview import workflow_screen

SCRIPTS = {
    "CJK": "\u4fdd\u967a\u91d1\u8acb\u6c42",
    "emoji": "\U0001f41e\U0001f697\u2728 bug",
    "Arabic": "\u0645\u0637\u0627\u0644\u0628\u0629",
    "accents": "e\u0301te\u0301",
    "Latin": "claim",
}


def drawn(shown: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(shown)
    return out.getvalue().splitlines()


def columns(lines: list[str], words: str) -> set[int]:
    """In which columns of the terminal the words begin."""
    return {cell_len(line.partition(words)[0]) for line in lines if words in line}


@pytest.mark.parametrize("width", [80, 120, 200])
def test_workflows_of_every_script_stand_in_the_same_columns(width: int) -> None:
    workflows = [context() for _ in SCRIPTS]
    for each, text in zip(workflows, SCRIPTS.values(), strict=True):
        each.workflow_instance_id, each.workflow_type = f"{text}-1", text
    out = Console(file=io.StringIO(), width=width)
    lines = drawn(workflow_screen(workflows, {}, out), width)
    assert len(lines) == len(SCRIPTS) + 2
    assert len(columns(lines, "ACTIVE")) == 1
    assert all(cell_len(line) <= width for line in lines)
    assert all(any(f"{text}-1" in line for line in lines) for text in SCRIPTS.values())


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_longest_usual_workflow_is_whole_and_says_what_it_asks(width: int) -> None:
    asks = context("WAITING_FOR_INPUT", waits=waits("w-1"))
    asks.workflow_instance_id = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"
    asks.workflow_type = "insurance_claim_of_a_long_name"
    lines = drawn(workflow_screen([asks], {}, Console(file=io.StringIO(), width=width)), width)
    assert len(lines) == (3 if width == 200 else 4)
    assert re.search(r"^01a21efc-e433-751d-bf49-aa4d3b8f2cd6 +.*WAITING_FOR_INPUT .* ago", lines[1])
    assert any("user_inpu" in line for line in lines)
    assert "insuran" in lines[1]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_dead_letters_and_endpoints_of_every_script_stand_in_the_same_columns(width: int) -> None:
    letters, endpoints = [], []
    for number, text in enumerate(SCRIPTS.values()):
        letter, endpoint = dead_letter(f"dl-{number}"), handler()
        letter.workflow_instance_id, letter.task_id, letter.error.message = text, text, text * 50
        endpoint.service_name = text
        letters.append(letter)
        endpoints.append(endpoint)
    for shown, words in (
        (letter_table(letters), " ago"),
        (endpoint_table(endpoints), "7500"),
    ):
        lines = drawn(shown, width)
        assert all(cell_len(line) <= width for line in lines)
        ends = {column + cell_len(words) for column in columns(lines, words)}
        assert len(ends) <= 2, lines


@pytest.mark.parametrize(
    ("start", "share", "shown"),
    [
        (0.0, 1.0, "━" * 40),
        (0.5, 0.25, " " * 20 + "━" * 10),
        (0.999, 0.0, " " * 39 + "━"),
        (1.0, 0.5, " " * 39 + "━"),
        (0.0, 0.0, "━"),
    ],
)
def test_a_bar_is_where_its_time_is_and_never_nothing(
    start: float, share: float, shown: str
) -> None:
    assert bar(start, share) == shown


def attempts(entries: list[HistoryEntry], width: int) -> str:
    out = io.StringIO()
    print_attempts(Console(file=out, width=width), entries)
    return out.getvalue()


def test_attempts_are_bars_where_there_is_room_and_do_not_repeat_the_tree() -> None:
    wide = attempts(history(), 120)
    assert "NO_PLATE" not in wide
    assert "SUCCESS" not in wide
    first, second = (line for line in wide.splitlines() if "claim_processor" in line)
    assert first.index("━") < second.index("━")
    assert "claims 127.0.0.1:7500" in second
    assert attempts(history(), 80) == ""


def test_a_message_that_the_tree_cuts_is_there_whole_and_once() -> None:
    long = AttemptError(
        code="TASK_FAILURE", reason="NO_PLATE", message="much is said " * 30 + "end"
    )
    entries = history()[:1] + [
        HistoryEntry(
            sequence=number,
            event_id="e",
            processed_by="price",
            processed_at=at(number),
            attempt=number,
            result="HISTORY_RESULT_FAILED",
            will_retry=True,
            next_attempt_at=at(number + 1),
            error=long,
        )
        for number in (2, 3, 4)
    ]
    told = attempts(entries, 80)
    assert told.count("much is said end") == 1
    assert "#4 price is tried again at " in told
