"""What must be true of every instance after every commit, told from its rows and from what tasks answered.

It shares no rule with the engine: changes are folded here, groups are counted here, and the status is
what the entries of history make of it. The S in front of a check is its name in the reliability page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from model.handlers import Answer

ACTIVE, WAITING, COMPLETED, FAILED, CANCELLED = range(1, 6)
SUCCESS, FAILURE, SKIPPED, UNHANDLED = range(1, 5)
READY, LEASED, NO_ENDPOINT, AT_CAPACITY, HELD, DEAD, PENDING = range(1, 8)
TIMER_EVENT, TIMER_EXPIRY, TIMER_DEADLINE, TIMER_WAIT, TIMER_FAN_OUT, TIMER_CLEANUP = range(1, 7)
MOVING = {TIMER_EVENT, TIMER_WAIT, TIMER_FAN_OUT}
_OPEN = {ACTIVE, WAITING}

Place = tuple[str, str]


class Entry(NamedTuple):
    sequence: int
    event_id: str
    event_type: str
    by: str
    result: int
    status: int
    attempt: int
    will_retry: bool
    error: Any
    change: Any
    raised: Any
    action: str | None
    wait_id: str | None

    @property
    def place(self) -> Place:
        return self.event_id, self.by


class Raised(NamedTuple):
    event_id: str
    event_type: str
    payload: Any
    version: int
    after_end: bool
    group_id: str | None
    branch: int | None


class Delivery(NamedTuple):
    event_id: str
    task_id: str
    state: int
    outside_group: bool
    leased_by: str | None


class Head(NamedTuple):
    key: int
    workflow_instance_id: str
    status: int
    version: int
    data: Any
    waits: Any
    groups: Any
    unsettled: int
    dead_letters: int
    event_count: int
    idle: Any
    timers: int
    completed: bool


@dataclass
class Story:
    """All rows of one instance, read at one moment at which nobody writes."""

    head: Head
    entries: list[Entry]
    events: dict[str, Raised]
    outbox: set[str]
    deliveries: list[Delivery]
    timers: set[tuple[int, str]]
    open_dead_letters: list[tuple[str, Place]]

    @classmethod
    async def read(cls, connection: Any, key: int) -> Story:
        async def rows(query: str) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(query, (key,))
            found: list[tuple[Any, ...]] = await cursor.fetchall()
            return found

        (head,) = await rows(
            "SELECT key, workflow_instance_id, status, version, data, waits, groups, unsettled, "
            "dead_letters, event_count, idle, timers, completed_at IS NOT NULL "
            "FROM workflow_instances WHERE key = %s"
        )
        entries = await rows(
            "SELECT sequence, event_id::text, event_type, processed_by, result, status, attempt, "
            "will_retry, error, change, raised::text[], action, detail->>'wait_id' FROM history "
            "WHERE instance_key = %s ORDER BY sequence"
        )
        events = await rows(
            "SELECT event_id::text, event_type, payload, version, after_end, group_id::text, branch "
            "FROM events WHERE instance_key = %s ORDER BY event_id"
        )
        outbox = await rows("SELECT event_id::text FROM outbox WHERE instance_key = %s")
        deliveries = await rows(
            "SELECT event_id::text, task_id, state, outside_group, leased_by::text FROM deliveries "
            "WHERE instance_key = %s ORDER BY event_id, task_id"
        )
        timers = await rows("SELECT kind, ref FROM timers WHERE instance_key = %s")
        letters = await rows(
            "SELECT dead_letter_id::text, event_id::text, task_id FROM dead_letters "
            "WHERE instance_key = %s AND state = 1 ORDER BY dead_letter_id"
        )
        return cls(
            Head(*head),
            [Entry(*row) for row in entries],
            {row[0]: Raised(*row) for row in events},
            {row[0] for row in outbox},
            [Delivery(*row) for row in deliveries],
            {(row[0], row[1]) for row in timers},
            [(row[0], (row[1], row[2])) for row in letters],
        )

    @property
    def timed(self) -> set[str]:
        return {ref for kind, ref in self.timers if kind == TIMER_EVENT}

    @property
    def open_events(self) -> set[str]:
        return self.outbox | self.timed | {row.event_id for row in self.deliveries}

    def holds_group(self, event_id: str) -> bool:
        return (
            event_id in self.outbox
            or event_id in self.timed
            or any(row.event_id == event_id and not row.outside_group for row in self.deliveries)
        )


@dataclass
class Witness:
    """What is known outside the engine."""

    answers: Mapping[str, tuple[Place, Answer]] = field(default_factory=dict)
    """By token: what a task answered for which delivery."""
    continues: frozenset[str] = frozenset()
    """Tasks whose dead letters are CONTINUE."""


def check(story: Story, witness: Witness) -> None:
    """Everything below."""
    _check_order(story)
    _check_causes(story)
    _Folding(story, witness).run()
    _check_outcomes(story, witness)
    _check_counts(story)
    _check_groups(story)
    _check_fan_ins(story, witness)


def _check_order(story: Story) -> None:
    """S4, S5: no gap, and the version is the number of entries."""
    sequences = [entry.sequence for entry in story.entries]
    assert sequences == list(range(1, story.head.version + 1)), "S5: history has gaps"


def _check_causes(story: Story) -> None:
    """S4: each event is raised by one entry, which made its version."""
    raised = [(event_id, entry) for entry in story.entries for event_id in entry.raised or ()]
    assert sorted(event_id for event_id, _ in raised) == sorted(story.events), "S4: causes"
    for event_id, entry in raised:
        assert story.events[event_id].version >= entry.sequence, "S4: raised before its commit"
    assert story.head.event_count == len(story.events)


class _Folding:
    """S5, S7, S8: data and status are what the entries make of them, one after the other."""

    def __init__(self, story: Story, witness: Witness) -> None:
        self.story = story
        self.witness = witness
        self.data: Any = {}
        self.status = ACTIVE
        self.waits: list[str] = []
        self.tokens: list[str] = []
        self.count = 0
        self.letters: set[Place] = set()

    def run(self) -> None:
        for entry in self.story.entries:
            self._check_end(entry)
            self._apply(entry)
            self._move(entry)
            assert entry.status == self.status, f"S7: status after {entry}"
        head = self.story.head
        assert self.data == head.data, "S8: folding history does not give the data"
        assert self.data.get("tokens", []) == self.tokens, "S5: effects"
        assert self.data["count"] == self.count, "S5: an update was lost"
        assert head.status == self.status
        if head.status in _OPEN:
            assert [wait["wait_id"] for wait in head.waits or ()] == self.waits
            assert (head.status == WAITING) == bool(self.waits)

    def _check_end(self, entry: Entry) -> None:
        """S7: what has ended stays so, but for what its own end raised, and the retry."""
        if self.status in _OPEN or entry.action == "dead_letter_retried":
            return
        late = self.story.events[entry.event_id].after_end
        assert late or not entry.change, f"S7: effect after the end: {entry}"
        assert late or entry.action or entry.result in (SKIPPED, UNHANDLED), f"S7: {entry}"

    def _apply(self, entry: Entry) -> None:
        for operation in entry.change or ():
            kind, path, *value = operation
            if path == "":
                self.data = dict(value[0])
                self.count = self.data["count"]
            elif kind == "set":
                self.data[path[1:]] = value[0]
            elif kind == "append":
                self.data[path[1:]] = [*self.data.get(path[1:], []), value[0]]
            else:
                raise AssertionError(f"no answer has {operation}")
        if entry.result == SUCCESS and entry.attempt > 0:
            self._take_answer(entry)

    def _take_answer(self, entry: Entry) -> None:
        """S3: an effect is that of one answer, for this delivery, and of no other entry."""
        tokens = [op[2] for op in entry.change or () if op[0] == "append"]
        assert len(tokens) == 1, f"S3: no answer was so: {entry}"
        (token,) = tokens
        assert token not in self.tokens, f"S3: {token} took effect twice"
        place, answer = self.witness.answers[token]
        assert place == entry.place, f"S3: {token} was an answer to another delivery"
        self.tokens.append(token)
        self.count += answer.counts
        types = [event_type.removeprefix("later:") for event_type in answer.raises]
        if answer.ends:
            types.append(f"workflow.{answer.ends}")
        types += [event_type.removeprefix("later:") for event_type in answer.branches or ()]
        if answer.waits:
            if self.status == ACTIVE:
                types.append("workflow.waiting_for_input")
            self.waits.append(token)
        raised = [self.story.events[event_id].event_type for event_id in entry.raised or ()]
        assert raised == types, f"P3: raised {raised} instead of {types}"

    def _move(self, entry: Entry) -> None:
        event = self.story.events[entry.event_id]
        if entry.result == SUCCESS and entry.attempt > 0:
            _, answer = self.witness.answers[self.tokens[-1]]
            if answer.ends:
                self.status = COMPLETED if answer.ends == "completed" else FAILED
            elif answer.waits:
                self.status = WAITING
        elif entry.result == FAILURE and not entry.will_retry and not entry.action:
            if entry.by not in self.witness.continues and not event.after_end:
                self.status = FAILED
        elif entry.action == "cancel":
            self.status = CANCELLED
        elif entry.action in ("input", "input_timed_out"):
            assert entry.wait_id is not None
            self.waits.remove(entry.wait_id)
            self._check_answer(entry, event)
            if not self.waits:
                self.status = ACTIVE
        elif (
            entry.action == "dead_letter_retried" and self.status == FAILED and not event.after_end
        ):
            self.status = WAITING if self.waits else ACTIVE

    def _check_answer(self, entry: Entry, event: Any) -> None:
        """The event tells which question has ended; an answer is where the question wanted it."""
        place, asked = self.witness.answers[entry.wait_id]
        told = {"wait_id": entry.wait_id, "task_id": place[1], "message": "?"}
        if entry.action == "input_timed_out":
            assert (event.payload, entry.change) == (told, None), f"{entry}: {event}"
            return
        member = f"input-{entry.wait_id}"
        assert event.payload == {**told, "input": {member: True}}, f"{entry}: {event}"
        apart = ["set", f"/answer-{entry.wait_id}", {member: True}]
        merged = ["set", f"/{member}", True]
        assert entry.change == [apart if asked.apart else merged], f"{entry}: another place"


def _check_outcomes(story: Story, witness: Witness) -> None:
    """S3: at most one final outcome of each delivery, and no row beside it."""
    finals = Counter(
        entry.place
        for entry in story.entries
        if entry.attempt > 0 and entry.result in (SUCCESS, SKIPPED)
    )
    assert not [place for place, times in finals.items() if times > 1], "S3: two outcomes"
    for row in story.deliveries:
        assert (row.event_id, row.task_id) not in finals, f"S3: {row} has its outcome already"
        assert row.event_id not in story.outbox, f"{row}: its event's tasks are not fixed"
    for event_id in story.outbox:
        settled = [e for e in story.entries if e.event_id == event_id and e.attempt > 0]
        assert not settled, f"S3: {event_id} is to be announced though it was handled"


def _check_counts(story: Story) -> None:
    """P7: the counters that say whether an instance is idle are true."""
    head = story.head
    assert not story.timed & story.outbox
    assert head.unsettled == len(story.open_events), "P7: unsettled"
    assert head.dead_letters == len(story.open_dead_letters), "P7: dead letters"
    assert {place for _, place in story.open_dead_letters} >= {
        (row.event_id, row.task_id) for row in story.deliveries if row.state == DEAD
    }
    moving = [kind for kind, _ in story.timers if kind in MOVING]
    assert head.timers == len(moving), "P7: timers"
    pending = bool(head.unsettled or head.waits or head.dead_letters or moving)
    assert (head.idle is not None) == (head.status == ACTIVE and not pending), "P7: idle"
    assert head.completed == (head.status not in _OPEN)
    assert head.status == FAILED or not [row for row in story.deliveries if row.state == HELD]


def _check_groups(story: Story) -> None:
    """S6: what each group that has not fired waits for, counted again."""
    head = story.head
    if head.status in (COMPLETED, CANCELLED):
        assert not head.groups
        return
    waiting: Counter[tuple[str, int]] = Counter()
    for event in story.events.values():
        if event.group_id is not None and story.holds_group(event.event_id):
            assert event.branch is not None
            waiting[event.group_id, event.branch] += 1
    for wait in head.waits or ():
        if wait["branch"]:
            waiting[tuple(wait["branch"])] += 1
    for group in head.groups or ():
        if group["outer"]:
            waiting[tuple(group["outer"])] += 1
    for group in head.groups or ():
        assert group["open"], "S6: a group that waits for nothing has not fired"
        counted = {
            number: times
            for (group_id, number), times in waiting.items()
            if group_id == group["id"]
        }
        assert dict(group["open"]) == counted, f"S6: {group} waits for {counted}"


def _check_fan_ins(story: Story, witness: Witness) -> None:
    """S6: one fan-in of each fan-out, after all its branches."""
    applied = {entry.change[0][2]: entry for entry in story.entries if _has_token(entry)}
    fired = {
        story.events[entry.event_id].payload["of"]: entry
        for entry in story.entries
        if entry.action == "fan_in"
    }
    assert len(fired) == sum(entry.action == "fan_in" for entry in story.entries), "S6: fired twice"
    thens = [event for event in story.events.values() if event.event_type == "joined"]
    assert len(thens) == len(fired), "S6: fan-ins"
    assert fired.keys() <= applied.keys(), "S6: a fan-in of nothing"
    groups: dict[str, str] = {}
    for event in story.events.values():
        token = event.payload.get("of")
        if event.group_id is not None and token in applied and event.event_type != "joined":
            _, answer = witness.answers[token]
            cause = story.events[applied[token].event_id]
            if answer.branches and event.group_id != cause.group_id:
                groups[token] = event.group_id
    for token, entry in fired.items():
        _, answer = witness.answers[token]
        then = story.events[entry.event_id]
        assert answer.branches is not None
        if answer.need or then.payload.get("timed_out") or not answer.branches:
            continue
        members = {e.event_id for e in story.events.values() if e.group_id == groups[token]}
        for place, sequence in _first_finals(story, witness, members).items():
            assert sequence is not None, f"S6: fired while {place} was open"
            assert sequence < entry.sequence, f"S6: fired before {place} was settled"


def _has_token(entry: Entry) -> bool:
    return entry.result == SUCCESS and entry.attempt > 0


def _first_finals(story: Story, witness: Witness, members: set[str]) -> dict[Place, int | None]:
    """When each delivery of these events was settled for the first time; None: it is not."""
    finals: dict[Place, int | None] = {}
    for row in story.deliveries:
        if row.event_id in members and not row.outside_group:
            finals[row.event_id, row.task_id] = None
    for entry in story.entries:
        if entry.event_id not in members or (entry.action and entry.result == SUCCESS):
            continue
        dead = entry.result == FAILURE and not entry.will_retry and entry.by in witness.continues
        if entry.result != FAILURE or dead:
            if finals.get(entry.place) is None:
                finals[entry.place] = entry.sequence
        else:
            finals.setdefault(entry.place, None)
    for event_id in members & story.open_events:
        if story.holds_group(event_id) and not any(place[0] == event_id for place in finals):
            finals[event_id, ""] = None
    return finals
