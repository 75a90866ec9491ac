"""Many deliveries are counted in the log, not listed; what failed is always listed."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from router.given import INSTANCE
from structlog.testing import capture_logs

from waystation_core.log_limit import LINES_EACH_SECOND
from waystation_core.ports.store import Loaded
from waystation_core.relay.ends_log import EndsLog
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.model import Event, Status
from waystation_domain.outcomes import AttemptError, CallResult, Cut, Reply, Verdict
from waystation_domain.task_spec import TaskSpec
from waystation_router.delivery_log import DeliveryLog, log_failure
from waystation_router.ledger import DeliveryCall, Handling, Ledger

TASK = TaskSpec("score", "claims", ("asked",), ("claim",))
FAILED = AttemptError("INTERNAL", "KeyError", "'name'")


def _handling() -> Handling:
    ledger = Ledger()
    ledger.learn(Loaded({}, {1: INSTANCE}, {}))
    event = Event("01a20000-0000-7000-8000-000000000001", "asked", {}, "split", version=2)
    return ledger.open(event, ledger.state(1), EventFacts(True), 3)


def _lines(
    number: int, outcome: Reply | AttemptError, verdict: Verdict = Verdict.APPLIED
) -> list[Any]:
    handling = _handling()
    call = DeliveryCall(TASK, result=CallResult(TASK, attempt=1, base_version=1, outcome=outcome))
    log = DeliveryLog()
    with capture_logs() as lines:
        for _ in range(number):
            log.concluded(handling, call, verdict)
        log.few.end_second()
    return lines


async def test_few_deliveries_have_a_line_each() -> None:
    lines = _lines(LINES_EACH_SECOND, Reply((), reads=()))
    assert [line["event"] for line in lines] == ["delivery"] * LINES_EACH_SECOND


async def test_many_deliveries_are_counted_at_the_end_of_the_second() -> None:
    *first, last = _lines(LINES_EACH_SECOND + 500, Reply((), reads=()))
    assert len(first) == LINES_EACH_SECOND
    assert (last["event"], last["applied"], last["without_line"]) == (
        "deliveries",
        LINES_EACH_SECOND + 500,
        500,
    )


async def test_what_failed_or_came_twice_has_its_line_however_many() -> None:
    assert len(_lines(200, FAILED)) == 200
    assert len(_lines(200, Reply((), reads=()), Verdict.DUPLICATE)) == 200


@pytest.mark.parametrize(
    ("attempt", "error", "last"),
    [
        (4, FAILED, False),
        (5, FAILED, True),
        (1, replace(FAILED, permanent=True), True),
        (5, Cut("gone", alone=False), False),
    ],
)
def test_a_failure_says_whether_it_was_the_last_and_where_to_look(
    attempt: int, error: AttemptError | Cut, last: bool
) -> None:
    with capture_logs() as lines:
        log_failure(_handling(), DeliveryCall(TASK, attempt=attempt), error, "127.0.0.1:7500")
    (line,) = lines
    name = INSTANCE.workflow_instance_id
    assert (line["workflow_instance_id"], line["attempt"], line["of"]) == (name, attempt, 5)
    assert line["log_level"] == ("warning" if last else "info")
    assert line.get("see") == (f"waystation explain {name}" if last else None)


def _documented(line: str) -> set[str]:
    """The fields of a line, as the page for operators lists them."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    table = page.partition("| line | fields |\n")[2].partition("\n\n")[0]
    (row,) = [row for row in table.splitlines() if row.startswith(f"| `{line}` |")]
    return set(re.findall(r"`(\w+)`", row)) - {line}


def _fields(line: Any) -> set[str]:
    return set(line) - {"event", "log_level"}


async def test_the_fields_of_deliveries_are_those_of_the_page() -> None:
    *many, summary = _lines(LINES_EACH_SECOND + 1, Reply((), reads=()))
    assert _fields(many[0]) == _documented("delivery")
    assert _fields(summary) == _documented("deliveries")
    with capture_logs() as lines:
        log_failure(_handling(), DeliveryCall(TASK, attempt=5), FAILED, "127.0.0.1:7500")
    assert _fields(lines[0]) == _documented("attempt_failed")


async def test_each_end_of_a_workflow_has_a_line_while_they_are_few_and_a_failure_always() -> None:
    def ends(status: Status, number: int) -> list[Any]:
        log = EndsLog()
        after = replace(INSTANCE, status=status)
        with capture_logs() as lines:
            log.committed([InstanceCommit(INSTANCE, after)] * number)
            log.committed([InstanceCommit(after, after), InstanceCommit(INSTANCE, INSTANCE)])
            log.few.end_second()
        return lines

    *completed, summary = ends(Status.COMPLETED, LINES_EACH_SECOND + 30)
    assert [line["event"] for line in completed] == ["workflow_ended"] * LINES_EACH_SECOND
    assert _fields(completed[0]) == _documented("workflow_ended")
    assert _fields(summary) == _documented("workflows_ended")
    assert (summary["ended"], summary["without_line"]) == (LINES_EACH_SECOND + 30, 30)
    assert len(ends(Status.FAILED, 200)) == 200
