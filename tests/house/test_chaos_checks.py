"""The checker of `make chaos` finds each broken promise, and nothing in a flawless run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.made_up_run import BEGAN, MadeUpRun

from chaos.verdict import BROKEN, CLEAN, INVALID, judge

Spoil = Callable[[MadeUpRun], Any]


def _renumber(run: MadeUpRun) -> None:
    for number, entry in enumerate(run.history, start=1):
        entry["sequence"] = number


def _drop_entry(run: MadeUpRun, wanted: Callable[[dict[str, Any]], bool]) -> None:
    run.history.remove(run.entry(wanted))
    _renumber(run)


def _lose_token(run: MadeUpRun) -> None:
    """An update is lost: the entry is there, and what it wrote is not."""
    run.tokens.remove(run.call_of("work2")["token"])


def _lose_update_everywhere(run: MadeUpRun) -> None:
    """The same with a history that folds."""
    _lose_token(run)
    run.entry(lambda entry: entry["processed_by"] == "work")["change"] = []


def _take_effect_twice(run: MadeUpRun) -> None:
    """A second call of one delivery is committed too."""
    again = {**run.call_of("work2"), "token": "work2/e3/1/again"}
    run.ledger.append(again)
    run.tokens.append(again["token"])
    entry = run.entry(lambda entry: entry["processed_by"] == "work")
    change = [{"path": "/tokens", "append": again["token"]}]
    run.history.append({**entry, "sequence": len(run.history) + 1, "change": change})


def _token_twice(run: MadeUpRun) -> None:
    run.tokens.append(run.tokens[-1])


def _unknown_token(run: MadeUpRun) -> None:
    run.tokens.append("work2/e3/1/forged")


def _dry_run_commits(run: MadeUpRun) -> None:
    run.call_of("work2")["dry_run"] = True


def _join_is_missing(run: MadeUpRun) -> None:
    _drop_entry(run, lambda entry: entry.get("action") == "fan_in")


def _join_fires_twice(run: MadeUpRun) -> None:
    run.history.append(
        {
            **run.entry(lambda entry: entry.get("action") == "fan_in"),
            "sequence": len(run.history) + 1,
            "status": "WORKFLOW_STATUS_COMPLETED",
            "raised_event_ids": [],
        }
    )


def _join_before_its_branches(run: MadeUpRun) -> None:
    joined = run.entry(lambda entry: entry.get("action") == "fan_in")
    run.history.remove(joined)
    at = run.history.index(run.entry(lambda entry: entry["processed_by"] == "work"))
    run.history.insert(at, joined)
    _renumber(run)


def _gap_in_history(run: MadeUpRun) -> None:
    del run.history[4]


def _event_raised_twice(run: MadeUpRun) -> None:
    run.entry(lambda entry: entry["processed_by"] == "end")["raised_event_ids"].append("e3")


def _orphan_event(run: MadeUpRun) -> None:
    run.events.append(
        {"event": {"event_id": "e99", "event_type": "step.work"}, "state": "EVENT_STATE_UNHANDLED"}
    )


def _raised_event_is_gone(run: MadeUpRun) -> None:
    run.events[:] = [event for event in run.events if event["event"]["event_id"] != "e3"]


def _effect_after_the_end(run: MadeUpRun) -> None:
    late = run.entry(lambda entry: entry["processed_by"] == "note")
    run.history.remove(late)
    run.history.append({**late, "status": "WORKFLOW_STATUS_COMPLETED"})
    _renumber(run)


def _two_ends(run: MadeUpRun) -> None:
    run.history[-1]["status"] = "WORKFLOW_STATUS_CANCELLED"


def _wrong_end(run: MadeUpRun) -> None:
    run.status = "FAILED"


def _start_is_lost(run: MadeUpRun) -> None:
    run.operations.append({**run.operations[0], "instance": "s1-chain-000002"})


def _input_is_lost(run: MadeUpRun) -> None:
    _drop_entry(run, lambda entry: entry.get("action") == "input")


def _input_counts_twice(run: MadeUpRun) -> None:
    again = run.entry(lambda entry: entry.get("action") == "input")
    run.history.insert(run.history.index(again), {**again, "raised_event_ids": []})
    _renumber(run)


def _cancel_is_lost(run: MadeUpRun) -> None:
    run.operations.append({**run.operations[0], "kind": "cancel"})


def _published_event_is_lost(run: MadeUpRun) -> None:
    run.operations.append({**run.operations[1], "note": "another"})


def _published_twice(run: MadeUpRun) -> None:
    run.events.append(next(event for event in run.events if event["event"]["event_type"] == "note"))


def _unwanted_instance(run: MadeUpRun) -> None:
    del run.operations[0]


def _an_outage_spends_an_attempt(run: MadeUpRun) -> None:
    run.scheduled[0]["kind"] = "postgres-read-only"
    for line in run.faults:
        line["kind"] = "postgres-read-only"
    again = {**run.call_of("work2"), "attempt": 2, "token": "work2/e3/2/again"}
    run.ledger.append(again)


def _announced_before_its_commit(run: MadeUpRun) -> None:
    run.announced.append("e1000")


def _stuck(run: MadeUpRun) -> None:
    run.completed_at = None
    run.status = "ACTIVE"


def _slow(run: MadeUpRun) -> None:
    run.completed_at = 120.0


def _outbox_row_left(run: MadeUpRun) -> None:
    run.state["status"]["outbox_size"] = "1"


def _delivery_left(run: MadeUpRun) -> None:
    run.state["status"]["deliveries"] = "1"


def _delivery_beside_a_dead_letter_left(run: MadeUpRun) -> None:
    _dead_letter_that_nobody_decides_about(run)
    run.state["status"]["deliveries"] = "2"


def _dead_letter_that_nobody_decides_about(run: MadeUpRun) -> None:
    run.status = "FAILED"
    run.dead_letters[0]["state"] = "DEAD_LETTER_STATE_OPEN"
    run.state["status"]["deliveries"] = "1"


def _message_left(run: MadeUpRun) -> None:
    run.state["broker"]["messages"] = 1


def _poison_not_dead(run: MadeUpRun) -> None:
    run.dead_letters.clear()


def _dead_without_poison(run: MadeUpRun) -> None:
    work = next(event for event in run.events if event["event"]["event_id"] == "e3")
    run.dead_letters.append({**run.dead_letters[0], "event": work["event"], "task_id": "work"})


def _last_operation_fails(run: MadeUpRun) -> None:
    run.operations += [dict(run.operations[-1]) for _ in range(20)]
    run.operations[-1] |= {"fine": False, "outcome": "unknown", "at": BEGAN + 99}


def _router_is_idle(run: MadeUpRun) -> None:
    run.state["probe_after"]["r"] = 10


def _endpoint_is_forgotten(run: MadeUpRun) -> None:
    run.ledger[0] = {**run.ledger[0], "process": "handler-2", "at": BEGAN}


def _consumer_is_missing(run: MadeUpRun) -> None:
    run.state["broker"]["consumers"] = 0


BROKEN_PROMISES: list[tuple[str, Spoil]] = [
    ("S1", _start_is_lost),
    ("S1", _input_is_lost),
    ("S1", _input_counts_twice),
    ("S1", _cancel_is_lost),
    ("S1", _published_event_is_lost),
    ("S1", _published_twice),
    ("S2", _unwanted_instance),
    ("S3", _take_effect_twice),
    ("S4", _gap_in_history),
    ("S4", _event_raised_twice),
    ("S4", _orphan_event),
    ("S4", _raised_event_is_gone),
    ("S4", _lose_token),
    ("S5", _lose_token),
    ("S5", _lose_update_everywhere),
    ("S5", _take_effect_twice),
    ("S5", _token_twice),
    ("S5", _unknown_token),
    ("S5", _dry_run_commits),
    ("S6", _join_is_missing),
    ("S6", _join_fires_twice),
    ("S6", _join_before_its_branches),
    ("S7", _effect_after_the_end),
    ("S7", _two_ends),
    ("S7", _wrong_end),
    ("S12", _an_outage_spends_an_attempt),
    ("S11", _announced_before_its_commit),
    ("L1", _stuck),
    ("L1", _slow),
    ("L2", _outbox_row_left),
    ("L2", _delivery_left),
    ("L2", _delivery_beside_a_dead_letter_left),
    ("L2", _message_left),
    ("L2", _poison_not_dead),
    ("L2", _dead_without_poison),
    ("L3", _last_operation_fails),
    ("L3", _router_is_idle),
    ("L3", _endpoint_is_forgotten),
    ("L5", _consumer_is_missing),
]


def test_a_flawless_run_is_valid_and_clean(tmp_path: Path) -> None:
    verdict = judge(MadeUpRun().write(tmp_path / "run"))
    assert (verdict.violations, verdict.doubts, verdict.exit_code) == ([], [], CLEAN)
    assert verdict.figures["recovery_s"] == {"instances": 1, "p50": 9.5, "p99": 9.5, "max": 9.5}


def test_an_open_dead_letter_keeps_its_delivery(tmp_path: Path) -> None:
    run = MadeUpRun()
    _dead_letter_that_nobody_decides_about(run)
    assert "L2" not in {one.rule for one in judge(run.write(tmp_path / "run")).violations}


def test_a_runaway_goes_on_for_as_long_as_it_does(tmp_path: Path) -> None:
    run = MadeUpRun()
    _slow(run)
    run.program["kind"] = "runaway"
    assert "L1" not in {one.rule for one in judge(run.write(tmp_path / "run")).violations}


def test_a_process_that_dies_in_a_call_may_spend_an_attempt(tmp_path: Path) -> None:
    run = MadeUpRun()
    _an_outage_spends_an_attempt(run)
    run.scheduled[0]["kind"] = run.faults[0]["kind"] = "kill-handler"
    assert judge(run.write(tmp_path / "run")).exit_code == CLEAN


@pytest.mark.parametrize(
    ("rule", "spoil"),
    BROKEN_PROMISES,
    ids=[f"{rule}{spoil.__name__}" for rule, spoil in BROKEN_PROMISES],
)
def test_each_broken_promise_is_found(rule: str, spoil: Spoil, tmp_path: Path) -> None:
    run = MadeUpRun()
    spoil(run)
    verdict = judge(run.write(tmp_path / "run"))
    assert rule in {violation.rule for violation in verdict.violations}
    assert verdict.exit_code == BROKEN


def _fault_did_not_bite(run: MadeUpRun) -> None:
    run.faults[-1]["bit"] = False


def _fault_was_left_out(run: MadeUpRun) -> None:
    run.scheduled.append({**run.scheduled[0], "number": 2})


def _too_many_operations_failed(run: MadeUpRun) -> None:
    failed = {**run.operations[-1], "fine": False, "outcome": "unknown", "at": BEGAN - 1}
    run.operations[:0] = [failed, failed]


def _no_end(run: MadeUpRun) -> None:
    run.state["probe_after"] = {}


@pytest.mark.parametrize(
    "spoil", [_fault_did_not_bite, _fault_was_left_out, _too_many_operations_failed, _no_end]
)
def test_a_run_that_proves_nothing_is_invalid(spoil: Spoil, tmp_path: Path) -> None:
    run = MadeUpRun()
    spoil(run)
    verdict = judge(run.write(tmp_path / "run"))
    assert verdict.doubts
    assert verdict.exit_code == INVALID


def test_an_answer_that_never_came_may_have_had_its_effect_or_not(tmp_path: Path) -> None:
    run = MadeUpRun()
    unknown = {"outcome": "unknown", "fine": False, "at": BEGAN - 1}
    run.operations.append({**run.operations[0], **unknown, "instance": "s1-chain-000002"})
    run.operations += [dict(run.operations[-2]) for _ in range(10)]
    verdict = judge(run.write(tmp_path / "run"))
    assert verdict.exit_code == CLEAN


def _samples(minutes: int, mib_per_minute: float, descriptors_per_minute: float) -> list[Any]:
    return [
        {
            "at": BEGAN + minute * 60,
            "processes": {
                "router-1": {
                    "pid": 1,
                    # Much at first, while it warms up.
                    "rss_kib": 1024 * (100 + 50 * min(minute, 4) + minute * mib_per_minute),
                    "descriptors": 30 + minute * descriptors_per_minute,
                }
            },
            "postgres_connections": 20,
            "amqp_connections": 8,
        }
        for minute in range(minutes)
    ]


@pytest.mark.parametrize(
    ("memory", "descriptors", "found"), [(0.2, 0, 0), (1.5, 0, 1), (0, 2, 1), (3, 3, 2)]
)
def test_growth_is_found_after_the_warm_up(
    memory: float, descriptors: float, found: int, tmp_path: Path
) -> None:
    run = MadeUpRun()
    run.scheduled = []
    run.samples = _samples(21, memory, descriptors)
    verdict = judge(run.write(tmp_path / "run"))
    assert [violation.rule for violation in verdict.violations] == ["L4"] * found
