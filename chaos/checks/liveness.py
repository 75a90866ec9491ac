"""Liveness: when faults stop, everything ends soon and every part works again (L1, L2, L3, L5)."""

import math
from collections.abc import Iterator

from chaos.checks.evidence import Evidence, Fields, Kind, Violation

RECOVERY_P99_SECONDS = 30.0
_LAST = 5


def nothing_is_stuck(evidence: Evidence) -> Iterator[Violation]:
    """L1: no instance is open in the end."""
    for name, instance in evidence.instances.items():
        if instance.completed_at is None:
            explained = instance.explained or {}
            blockers = [
                {key: blocker.get(key) for key in ("kind", "task_id", "since", "message")}
                for blocker in explained.get("blockers", ())
            ]
            yield Violation(
                "L1",
                name,
                f"stuck: {instance.status}; {explained.get('summary')}; {blockers[:3]}",
                Kind.STUCK,
            )


def recovery_is_quick(evidence: Evidence) -> Iterator[Violation]:
    """L1: the 99th percentile of recovery after the last heal is under 30 s."""
    worst = percentile(sorted(recoveries(evidence)), 0.99)
    if worst is not None and worst > RECOVERY_P99_SECONDS:
        yield Violation("L1", "", f"recovery p99 is {worst:.1f} s")


def recoveries(evidence: Evidence) -> list[float]:
    """For each instance that was open at the last heal: seconds from there to its end, without the
    time that it asked for itself (naps, questions, completions from outside). Not of runaways: they go on
    until their limit, faults or none."""
    healed = evidence.healed_at
    found = []
    for name, instance in evidence.instances.items():
        end = instance.completed_at
        if end is None or end < healed or instance.created_at > healed:
            continue
        program = evidence.programs.get(name)
        if program is not None and program["kind"] == "runaway":
            continue
        own = 0.0 if program is None else _own_seconds(program["blocks"])
        found.append(max(0.0, end - healed - own))
    return found


def _own_seconds(blocks: list[Fields]) -> float:
    total = 0.0
    for block in blocks:
        if block["do"] in ("nap", "pend", "ask"):
            total += float(block.get("seconds", 0.5))
        elif block["do"] == "hang":
            total += 3.0
        total += max((_own_seconds(branch) for branch in block.get("branches", ())), default=0.0)
    return total


def nothing_is_left_over(evidence: Evidence) -> Iterator[Violation]:
    """L2: no outbox row, no delivery but the dead ones, no message; the dead letters are exactly
    the poison."""
    status = evidence.state.get("status", {})
    if int(status.get("outbox_size", 0)):
        yield Violation("L2", "", f"{status['outbox_size']} rows are left in the outbox")
    # A dead letter keeps its delivery as long as an operator may retry it: what one decided about is closed,
    # and one under CONTINUE is final. Nobody decides about a runaway's.
    left = int(status.get("deliveries", 0)) - sum(
        instance.status == "FAILED" and dead_letter.get("state") == "DEAD_LETTER_STATE_OPEN"
        for instance in evidence.instances.values()
        for dead_letter in instance.dead_letters
    )
    if left > 0:
        yield Violation("L2", "", f"{left} deliveries are left")
    if (evidence.state.get("broker") or {}).get("messages"):
        yield Violation("L2", "", f"{evidence.state['broker']['messages']} messages are left")
    for dead_letter in evidence.state.get("dead_letters_of_no_instance", ()):
        yield Violation("L2", "", f"a dead letter of no instance: {dead_letter}")
    for name, instance in evidence.instances.items():
        expected = evidence.expectations.get(name)
        if expected is None or instance.completed_at is None:
            continue
        dead = set()
        for dead_letter in instance.dead_letters:
            blocks = dead_letter["event"].get("payload", {}).get("blocks") or [{}]
            dead.add(blocks[0].get("id", dead_letter["event"]["event_type"]))
        for block in dead - expected.dead - expected.dead_maybe:
            causes = [dead_letter.get("error", {}) for dead_letter in instance.dead_letters]
            yield Violation("L2", name, f"{block} is a dead letter and should not be: {causes}")
        for block in expected.dead - dead:
            yield Violation("L2", name, f"{block} should be a dead letter and is not")


def every_part_works(evidence: Evidence) -> Iterator[Violation]:
    """L3: after the last heal the last operations are fine, each router commits and each endpoint
    is called."""
    for operation in sorted(evidence.operations, key=lambda each: each["at"])[-_LAST:]:
        if not operation["fine"]:
            yield Violation(
                "L3", operation["instance"], f"{operation['kind']}: {operation['reason']}"
            )
    before, after = (evidence.state.get(name, {}) for name in ("probe_before", "probe_after"))
    for router, committed in after.items():
        if committed <= before.get(router, 0):
            yield Violation("L3", "", f"router {router} committed nothing in the probe")
    called = {line["process"] for line in evidence.ledger if line["at"] >= evidence.healed_at}
    known = {line["process"] for line in evidence.ledger}
    for process in sorted(known - called):
        if not process.startswith("late") and process != "completer":
            yield Violation("L3", "", f"{process} was not called after the last heal")


def routers_consume(evidence: Evidence) -> Iterator[Violation]:
    """L5: the broker knows a consumer for every live router."""
    routers = len(evidence.state.get("status", {}).get("routers", ()))
    consumers = (evidence.state.get("broker") or {}).get("consumers")
    if consumers != routers:
        yield Violation("L5", "", f"{routers} routers live, and {consumers} consume")


def percentile(values: list[float], share: float) -> float | None:
    """The smallest of the sorted values that so great a share does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else None


LIVENESS = (
    nothing_is_stuck,
    recovery_is_quick,
    nothing_is_left_over,
    every_part_works,
    routers_consume,
)
