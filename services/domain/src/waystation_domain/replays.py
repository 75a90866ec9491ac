"""Compares a recorded result with the one that its task gives now.

The new answer is applied to the instance as it was before the entry, by the same rules, in a draft that is
not written. So what would be committed now is compared with what was committed then.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from waystation_domain import lifecycle, replies
from waystation_domain.commit import HistoryEntry
from waystation_domain.differences import ABSENT, Difference, differences
from waystation_domain.draft import Draft, Rules
from waystation_domain.errors import WaystationError
from waystation_domain.model import Branch, Event, Instance, JsonObject, Result
from waystation_domain.outcomes import AttemptError, CallResult, Reply, fault_of
from waystation_domain.task_spec import TaskSpec

_MOST_PAIRS = 10_000
"""Events that are compared each with each: the time grows with the square of their number, or worse."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The entry of a task's attempt, with the instance before and after it."""

    entry: HistoryEntry
    event: Event
    raised: tuple[Event, ...]
    """The events that the entry raised, in order."""
    before: Instance
    """As `Fold` gives both: without anything else that was open."""
    after: Instance


@dataclass(frozen=True, slots=True)
class EventDifference:
    """A difference in one event, or an event of one side only (the other index is then None)."""

    event_type: str
    recorded_index: int | None
    replayed_index: int | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences that a replay found."""

    same: bool
    event_types: tuple[str, ...] = ()
    """Types of the events that would be raised now."""
    events: tuple[EventDifference, ...] = ()
    data: tuple[Difference, ...] = ()
    instance: tuple[Difference, ...] = ()
    """In the other fields: status, waits, output, failure."""
    error: AttemptError | None = None


def compare(
    recorded: Recorded,
    outcome: Reply | AttemptError,
    task: TaskSpec,
    *,
    rules: Rules,
    processed_at: datetime,
) -> Comparison:
    """The differences between the outcome now and the recorded one, which was `processed_at` then.

    An attempt that failed is the same if it fails again with the same code and reason: messages may have ids
    and times.
    """
    if isinstance(outcome, AttemptError):
        return _failed(recorded, outcome)
    entry = recorded.entry
    draft = Draft(
        recorded.before,
        facts={},
        rules=rules,
        now=_decided_at(recorded) or processed_at,
    )
    result = CallResult(task, entry.attempt, entry.base_version, outcome)
    try:
        replies.succeed(draft, recorded.event, result, outcome)
    except WaystationError as fault:
        return _failed(recorded, fault_of(fault))
    commit = draft.commit()
    own = set(commit.entries[0].raised)
    raised = [event for event in commit.raised if event.event_id in own]
    events = tuple(_of_events(recorded.raised, raised, recorded.event.branch))
    data = tuple(differences(recorded.after.data, commit.after.data))
    other_fields = tuple(differences(_other_fields(recorded.after), _other_fields(commit.after)))
    return Comparison(
        same=entry.result is Result.SUCCESS and not (events or data or other_fields),
        event_types=tuple(event.event_type for event in raised),
        events=events,
        data=data,
        instance=other_fields,
    )


def _decided_at(recorded: Recorded) -> datetime | None:
    """The time of the recorded decision, if it is visible: in the wait that it opened, or in the event of
    that."""
    opened = recorded.after.waits[len(recorded.before.waits) :]
    return datetime.fromisoformat(opened[0].since) if opened else None


def _failed(recorded: Recorded, error: AttemptError) -> Comparison:
    before = recorded.entry.error
    same = before is not None and (before["code"], before["reason"]) == (error.code, error.reason)
    return Comparison(same=same, error=error)


def _other_fields(instance: Instance) -> JsonObject:
    """The fields of an instance, besides its data, that an answer decides."""
    other_fields: JsonObject = {
        "status": instance.status.name,
        "waits": [
            {key: value for key, value in wait.to_json().items() if key not in ("since", "branch")}
            for wait in instance.waits
        ],
    }
    if instance.output is not None:
        other_fields["output"] = instance.output
    if instance.failure is not None:
        other_fields["failure"] = instance.failure.to_json()
    return other_fields


def _of_events(
    recorded: Sequence[Event], replayed: Sequence[Event], around: Branch | None
) -> Iterator[EventDifference]:
    """Equal events are paired first, so that one more or less does not shift the others; the remaining ones
    are paired by type."""
    before, after = _contents(recorded, around), _contents(replayed, None)
    for what, first, last, other_first, other_last in _aligned(
        _keys(recorded, before), _keys(replayed, after)
    ):
        if what == "equal":
            continue
        for kind, i, i_end, j, j_end in _aligned(
            [event.event_type for event in recorded[first:last]],
            [event.event_type for event in replayed[other_first:other_last]],
        ):
            old, new = range(first + i, first + i_end), range(other_first + j, other_first + j_end)
            if kind == "equal":
                for at, other in zip(old, new, strict=True):
                    found = tuple(differences(before[at], after[other]))
                    yield EventDifference(recorded[at].event_type, at, other, found)
                continue
            for at in old:
                gone = (Difference("", before[at], ABSENT),)
                yield EventDifference(recorded[at].event_type, at, None, gone)
            for other in new:
                fresh = (Difference("", ABSENT, after[other]),)
                yield EventDifference(replayed[other].event_type, None, other, fresh)


def _aligned(
    before: Sequence[Hashable], after: Sequence[Hashable]
) -> Iterator[tuple[str, int, int, int, int]]:
    """Equal and different blocks, as SequenceMatcher reports them. Equal beginnings and ends cost almost
    nothing; the middle is compared only while that is fast."""
    shorter = min(len(before), len(after))
    head = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    tail = next(
        (at for at in range(shorter - head) if before[-1 - at] != after[-1 - at]), shorter - head
    )
    end, other_end = len(before) - tail, len(after) - tail
    yield "equal", 0, head, 0, head
    if (end - head) * (other_end - head) > _MOST_PAIRS:
        yield "replace", head, end, head, other_end
    else:
        matcher = SequenceMatcher(None, before[head:end], after[head:other_end], autojunk=False)
        for kind, i, i_end, j, j_end in matcher.get_opcodes():
            yield kind, head + i, head + i_end, head + j, head + j_end
    yield "equal", end, len(before), other_end, len(after)


def _contents(events: Sequence[Event], around: Branch | None) -> list[JsonObject]:
    """The contents of events, without ids and times. Events of a fan-out have the index of the answer's
    group, from 0, and the branch that they begin. The branch `around` all of them is left out: the answer
    does not decide it."""
    groups: dict[str, int] = {}
    contents = []
    for event in events:
        payload = event.payload
        if event.event_type == lifecycle.FAILED:
            payload = {name: payload[name] for name in payload if name != "open_dead_letters"}
        content: JsonObject = {"payload": payload}
        if event.priority is not None:
            content["priority"] = event.priority
        if event.schema_version:
            content["schema_version"] = event.schema_version
        if event.metadata:
            content["metadata"] = dict(event.metadata)
        if event.branch is not None and event.branch != around:
            content["fan_out"] = groups.setdefault(event.branch.group_id, len(groups))
            content["branch"] = event.branch.number
        contents.append(content)
    return contents


def _keys(events: Iterable[Event], contents: Iterable[JsonObject]) -> list[tuple[str, str]]:
    return [
        (event.event_type, json.dumps(content, sort_keys=True))
        for event, content in zip(events, contents, strict=True)
    ]
