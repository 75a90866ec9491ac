"""Safety: nothing acknowledged is missing, nothing took effect twice, history is whole (S1 to S7)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.checks.evidence import Evidence, Fields, Instance, Kind, Violation, successes
from chaos.checks.fold import Unfoldable, fold

_ENDS = ("WORKFLOW_STATUS_COMPLETED", "WORKFLOW_STATUS_FAILED", "WORKFLOW_STATUS_CANCELLED")


def acknowledged_work_is_there(evidence: Evidence) -> Iterator[Violation]:
    """S1: whatever was answered OK is there, and a repeated request took effect once."""
    for operation in evidence.operations:
        if operation["outcome"] != "ok":
            continue
        kind, name = operation["kind"], operation["instance"]
        if kind not in ("start", "fork", "input", "publish", "cancel", "complete"):
            continue
        instance = evidence.instances.get(name)
        if instance is None:
            yield Violation("S1", name, f"{kind} was answered OK and the instance is not there")
            continue
        if kind == "cancel" and instance.status != "CANCELLED":
            yield Violation("S1", name, f"cancel was answered OK, and it is {instance.status}")
        if kind == "complete" and operation["token"] not in instance.tokens:
            yield Violation("S1", name, f"a completion is missing: {operation['token']}", Kind.LOST)
        if kind == "input":
            inputs = [
                entry
                for entry in instance.history
                if entry.get("action") == "input" and entry.get("wait_id") == operation["wait"]
            ]
            if len(inputs) != 1:
                yield Violation("S1", name, f"input to {operation['wait']}: {len(inputs)} entries")
    for name, instance in evidence.instances.items():
        notes = Counter(
            event["event"].get("payload", {}).get("note")
            for event in instance.events
            if event["event"]["event_type"] == "note"
        )
        for operation in evidence.operations_of.get(name, ()):
            published = operation["kind"] == "publish" and operation["outcome"] == "ok"
            if published and notes[operation["note"]] == 0:
                yield Violation(
                    "S1", name, f"published event {operation['note']} is missing", Kind.LOST
                )
        for note, times in notes.items():
            if times > 1:
                yield Violation(
                    "S1", name, f"published event {note} is there {times} times", Kind.DOUBLE
                )


def instances_are_wanted(evidence: Evidence) -> Iterator[Violation]:
    """S2: one instance per id, and none that nobody asked for."""
    if evidence.state.get("listed_twice"):
        yield Violation("S2", "", f"{evidence.state['listed_twice']} instances are listed twice")
    asked = {op["instance"] for op in evidence.operations if op["kind"] in ("start", "fork")}
    for name in evidence.instances.keys() - asked:
        yield Violation("S2", name, "nobody started it")


def effects_are_single(evidence: Evidence) -> Iterator[Violation]:
    """S3: one success for each event and task."""
    for name, instance in evidence.instances.items():
        done = Counter((entry["event_id"], entry["processed_by"]) for entry in successes(instance))
        for (event, task), times in done.items():
            if times > 1:
                yield Violation(
                    "S3", name, f"{task} took effect {times} times for event {event}", Kind.DOUBLE
                )


def history_is_whole(evidence: Evidence) -> Iterator[Violation]:
    """S4: no gap in history, each event raised by exactly one entry; folding gives the data back."""
    for name, instance in evidence.instances.items():
        history = instance.history
        numbers = [entry["sequence"] for entry in history]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation("S4", name, f"history has gaps: {numbers}")
        if instance.context.get("version") != len(numbers):
            version = instance.context.get("version")
            yield Violation("S4", name, f"version {version} with {len(numbers)} entries of history")
        raised = Counter(event for entry in history for event in entry.get("raised_event_ids", ()))
        there = {event["event"]["event_id"] for event in instance.events}
        for event, times in raised.items():
            if times > 1:
                yield Violation("S4", name, f"event {event} was raised {times} times", Kind.DOUBLE)
            if event not in there:
                yield Violation("S4", name, f"event {event} was raised and is not there")
        for event in there - raised.keys():
            yield Violation("S4", name, f"event {event} was raised by nobody")
        yield from _settled_events_have_entries(instance)
        yield from _folds(instance)


def _settled_events_have_entries(instance: Instance) -> Iterator[Violation]:
    entries = {entry.get("event_id") for entry in instance.history if not _is_raising(entry)}
    for event in instance.events:
        if event["state"] == "EVENT_STATE_SETTLED" and event["event"]["event_id"] not in entries:
            event_id = event["event"]["event_id"]
            yield Violation("S4", instance.id, f"event {event_id} is settled without an entry")


def _is_raising(entry: Fields) -> bool:
    return bool(entry.get("action"))


def _folds(instance: Instance) -> Iterator[Violation]:
    try:
        folded = fold(instance.history)
    except Unfoldable as fault:
        yield Violation("S4", instance.id, f"history does not fold: {fault}")
        return
    if json.dumps(folded, sort_keys=True) != json.dumps(instance.data, sort_keys=True):
        yield Violation("S4", instance.id, "folding history does not give data")


def tokens_are_exact(evidence: Evidence) -> Iterator[Violation]:
    """S5: the list of tokens is what tasks committed: none lost, none twice, none unexpected."""
    for name, instance in evidence.instances.items():
        tokens = instance.tokens
        for token, times in Counter(tokens).items():
            if times > 1:
                yield Violation("S5", name, f"token {token} is there {times} times", Kind.DOUBLE)
            line = evidence.witnessed.get(token)
            if line is None:
                yield Violation("S5", name, f"token {token} was written by no task")
            elif line["dry_run"]:
                yield Violation("S5", name, f"token {token} comes from a dry run")
            elif line["instance"] != name and not name.startswith(f"{line['instance']}-fork"):
                yield Violation("S5", name, f"token {token} is of instance {line['instance']}")
        yield from _tokens_match_history(evidence, instance)
        expected = evidence.expectations.get(name)
        if expected is None or instance.completed_at is None:
            continue
        blocks = Counter(token.split("/")[0] for token in tokens)
        for block in expected.must.keys() | expected.may.keys() | blocks.keys():
            least = expected.must[block]
            most = least + expected.may[block]
            if not least <= blocks[block] <= most:
                wanted = str(least) if least == most else f"{least} to {most}"
                yield Violation("S5", name, f"{block}: {blocks[block]} commits instead of {wanted}")


def _tokens_match_history(evidence: Evidence, instance: Instance) -> Iterator[Violation]:
    """Every success has appended the token of one of its calls."""
    of_delivery: dict[tuple[str, str], int] = Counter()
    for token in instance.tokens:
        line = evidence.witnessed.get(token)
        if line is not None and line["instance"] == instance.id:
            of_delivery[line["event"], line["task"]] += 1
    succeeded = {(entry["event_id"], entry["processed_by"]) for entry in successes(instance)}
    for delivery in succeeded - of_delivery.keys():
        yield Violation(
            "S5", instance.id, f"the token of {delivery[1]} for {delivery[0]} is lost", Kind.LOST
        )
    for delivery in of_delivery.keys() - succeeded:
        yield Violation("S5", instance.id, f"a token of {delivery[1]} without a success in history")


def joins_fire_once(evidence: Evidence) -> Iterator[Violation]:
    """S6: each group fires once, after all its branches, and so does each naive join."""
    for name, instance in evidence.instances.items():
        fired = [entry for entry in instance.history if entry.get("action") == "fan_in"]
        for event, times in Counter(entry["event_id"] for entry in fired).items():
            if times > 1:
                yield Violation(
                    "S6", name, f"the join of event {event} fired {times} times", Kind.DOUBLE
                )
        yield from _joins_follow_branches(instance, fired)
        expected = evidence.expectations.get(name)
        if expected is None or instance.status != "COMPLETED":
            continue
        if len(fired) < expected.groups:
            yield Violation("S6", name, f"{len(fired)} joins fired, {expected.groups} were opened")


def _joins_follow_branches(instance: Instance, fired: list[Fields]) -> Iterator[Violation]:
    """What a group continues is raised by the same event as its branches."""
    events = {event["event"]["event_id"]: event["event"] for event in instance.events}
    last_of_opener: dict[str, int] = defaultdict(int)
    openers = {
        event["group_id"]: event.get("causation_id", "")
        for event in events.values()
        if event.get("group_id")
        and events.get(event.get("causation_id", ""), {}).get("group_id") != event["group_id"]
    }
    for entry in instance.history:
        group = events.get(entry.get("event_id", ""), {}).get("group_id")
        if group and not entry.get("action"):
            opener = openers.get(group, "")
            last_of_opener[opener] = max(last_of_opener[opener], entry["sequence"])
    for entry in fired:
        opener = events.get(entry["event_id"], {}).get("causation_id", "")
        blocks = events.get(opener, {}).get("payload", {}).get("blocks") or [{}]
        if not blocks[0].get("need") and entry["sequence"] < last_of_opener[opener]:
            yield Violation(
                "S6", instance.id, f"a join fired at {entry['sequence']}, before all branches ended"
            )


def ends_are_final(evidence: Evidence) -> Iterator[Violation]:
    """S7: one end; after it nothing but retries of dead letters takes effect."""
    for name, instance in evidence.instances.items():
        ended_at = None
        for entry in instance.history:
            status = entry.get("status", "")
            if entry.get("action") == "dead_letter_retried":
                ended_at = None
                continue
            if ended_at is None:
                if status in _ENDS:
                    ended_at, end = entry["sequence"], status
                continue
            if status != end:
                yield Violation(
                    "S7", name, f"{end} at {ended_at}, and {status} at {entry['sequence']}"
                )
            elif entry["result"] == "HISTORY_RESULT_SUCCESS" and entry.get("attempt", 0) > 0:
                yield Violation(
                    "S7", name, f"{entry['processed_by']} took effect after the end at {ended_at}"
                )
        expected = evidence.expectations.get(name)
        if expected is None or instance.completed_at is None:
            continue
        if instance.status not in expected.statuses:
            wanted = " or ".join(sorted(expected.statuses))
            failure = instance.context.get("failure", "")
            yield Violation("S7", name, f"{instance.status} instead of {wanted}: {failure}")


def announcements_are_committed(evidence: Evidence) -> Iterator[Violation]:
    """S11: whatever was announced is in the store, so nothing is published before its commit."""
    stored = {
        event["event"]["event_id"]
        for instance in evidence.instances.values()
        for event in instance.events
    }
    for event in sorted(evidence.announced - stored)[:20]:
        yield Violation("S11", "", f"event {event} was announced and is not in the store")


SAFETY = (
    acknowledged_work_is_there,
    instances_are_wanted,
    effects_are_single,
    history_is_whole,
    tokens_are_exact,
    joins_fire_once,
    ends_are_final,
    announcements_are_committed,
)
