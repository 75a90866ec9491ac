"""A recorded result beside the one that its task gives now.

The answer of now is applied to the instance as it was before the entry, by the rules for every
answer, in a draft that nobody writes. So what is compared is what was committed then with what
would have been committed.
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
"""Of events that are compared each with each; in the worst case it takes the square of their number
for each of them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry of a task's attempt, with what it met and what it left."""

    entry: HistoryEntry
    event: Event
    raised: tuple[Event, ...]
    """Those that the entry raised, in order."""
    before: Instance
    """As `Fold` has both: with nothing of what else was open."""
    after: Instance


@dataclass(frozen=True, slots=True)
class EventDifference:
    """One event that differs, or is there on one side only (the other index is None then)."""

    event_type: str
    recorded_index: int | None
    replayed_index: int | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a replay would change."""

    same: bool
    event_types: tuple[str, ...] = ()
    """Of the events that would be raised now."""
    events: tuple[EventDifference, ...] = ()
    data: tuple[Difference, ...] = ()
    instance: tuple[Difference, ...] = ()
    """Of the rest: status, waits, output, failure."""
    error: AttemptError | None = None


def compare(
    recorded: Recorded,
    outcome: Reply | AttemptError,
    task: TaskSpec,
    *,
    rules: Rules,
    processed_at: datetime,
) -> Comparison:
    """What the outcome of now would change of what is recorded, which was `processed_at` then.

    An attempt that failed is the same when it fails again with the same code and reason: messages
    may name ids and times.
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
    rest = tuple(differences(_rest(recorded.after), _rest(commit.after)))
    return Comparison(
        same=entry.result is Result.SUCCESS and not (events or data or rest),
        event_types=tuple(event.event_type for event in raised),
        events=events,
        data=data,
        instance=rest,
    )


def _decided_at(recorded: Recorded) -> datetime | None:
    """By which clock the entry was decided, where it shows: in the wait that it opened, and in the
    event that tells of it."""
    opened = recorded.after.waits[len(recorded.before.waits) :]
    return datetime.fromisoformat(opened[0].since) if opened else None


def _failed(recorded: Recorded, error: AttemptError) -> Comparison:
    before = recorded.entry.error
    same = before is not None and (before["code"], before["reason"]) == (error.code, error.reason)
    return Comparison(same=same, error=error)


def _rest(instance: Instance) -> JsonObject:
    """What an instance is beside its data, as far as an answer decides it."""
    rest: JsonObject = {
        "status": instance.status.name,
        "waits": [
            {key: value for key, value in wait.to_json().items() if key not in ("since", "branch")}
            for wait in instance.waits
        ],
    }
    if instance.output is not None:
        rest["output"] = instance.output
    if instance.failure is not None:
        rest["failure"] = instance.failure.to_json()
    return rest


def _of_events(
    recorded: Sequence[Event], replayed: Sequence[Event], around: Branch | None
) -> Iterator[EventDifference]:
    """Events that are equal are paired first, so that one more or less does not shift the others;
    what is left between them is paired by its type."""
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
    """Blocks that are equal and blocks that are not, as SequenceMatcher tells them. What is equal at
    both ends costs next to nothing; the rest is looked through only while that is quick."""
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
    """What events say, without ids and times. Those of a fan-out say which of the answer's groups
    they belong to, from 0, and which branch they begin; the branch `around` all of them is no
    matter of the answer, nor is what other deliveries left open."""
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
