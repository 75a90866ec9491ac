"""A commit in the making: one instance's working copy, and the moves that every decision is made of.

`results` (what tasks answered) and `actions` (what clients and operators asked for) decide; both
write through this, so there is one place where versions rise, events are raised and settled,
statuses move and idleness is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from waystation_domain import lifecycle, limits
from waystation_domain.commit import (
    SETTLED,
    EventFacts,
    HistoryEntry,
    InstanceCommit,
    LoggedWrites,
    NewDeadLetter,
)
from waystation_domain.conflicts import Write
from waystation_domain.errors import TooManyEvents
from waystation_domain.idle import Ending, Idle, is_idle
from waystation_domain.model import (
    Branch,
    Delivery,
    DeliveryState,
    Event,
    Group,
    Instance,
    NewEvent,
    Status,
    Timer,
    TimerKind,
    unshared,
)
from waystation_domain.providers import Providers
from waystation_domain.task_spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision needs beside the instance."""

    providers: Providers
    resolve: Callable[[str, str], Sequence[TaskSpec]] | None = None
    """The tasks that handle (event type, workflow type) now. None: not known here, so every raised
    event is announced."""
    max_events: int = limits.MAX_EVENTS_PER_INSTANCE


class Draft:
    """The working copy. Take `commit()` when all moves are made."""

    def __init__(
        self,
        instance: Instance,
        *,
        facts: Mapping[str, EventFacts],
        rules: Rules,
        now: datetime,
        log: Sequence[LoggedWrites] = (),
    ) -> None:
        """`now` is the time of the whole decision, by the clock of whoever keeps the instance: what was
        stored earlier and what becomes due later goes by that one, too."""
        self.before = instance
        self._instance = instance
        self._shared = True
        self.now = now
        self.rules = rules
        # What the moves have changed of `_known`.
        self._known = facts
        self._moved: dict[str, EventFacts] = {}
        self._log = list(log)
        self._touched = False
        self._left_group: set[str] = set()
        self._last_ended: tuple[Event, Ending, Sequence[str], str] | None = None
        self._commit = InstanceCommit(before=instance, after=instance)

    # --- what is known ---------------------------------------------------------------------

    def facts(self, event_id: str) -> EventFacts:
        """Where an event stands now, with the moves made so far. Unknown events count as settled,
        so the draft must be given the facts of every event whose deliveries it moves."""
        return self._moved.get(event_id) or self._known.get(event_id, SETTLED)

    def treatment(self, event: Event) -> lifecycle.Treatment:
        """What becomes of an event's deliveries now."""
        return lifecycle.treatment(self.instance, event)

    def writes_since(self, version: int) -> list[Write]:
        """What was written after this version, here included."""
        return [
            write for logged in self._log if logged.version > version for write in logged.writes
        ]

    # --- the instance ----------------------------------------------------------------------

    def touch(self, **changes: object) -> None:
        """Changes fields of the instance."""
        self._touched = True
        if self._shared:
            self._instance = unshared(self._instance)
            self._shared = False
        for name, value in changes.items():
            # The working copy is nobody else's. dataclasses.replace would cost ten times as much,
            # several times for each result.
            object.__setattr__(self._instance, name, value)

    @property
    def instance(self) -> Instance:
        """The instance as moved so far. Changes with the next move; `snapshot` does not."""
        return self._instance

    @property
    def is_over(self) -> bool:
        """Whether the instance has ended and no retry could make it go on."""
        return lifecycle.is_over(self._instance)

    def snapshot(self) -> Instance:
        """The instance as moved so far, which later moves leave alone."""
        self._shared = True
        return self._instance

    def record(self, entry: HistoryEntry, writes: Sequence[Write] = ()) -> None:
        """Adds an entry of history, which makes the next version. Its sequence must be `next_version`."""
        assert entry.sequence == self.instance.version + 1
        self.touch(version=entry.sequence)
        self._commit.entries.append(entry)
        if writes:
            self._log.append(LoggedWrites(entry.sequence, tuple(writes)))

    @property
    def next_version(self) -> int:
        return self.instance.version + 1

    def move_to(self, status: Status) -> None:
        """Sets the status; asks the table first."""
        if not lifecycle.may_move(self.instance.status, status):
            raise AssertionError(f"no move {self.instance.status.name} -> {status.name}")
        ends = not status.is_open
        self.touch(
            status=status,
            completed_at=self.now if ends else None,
            # A FAILED instance may go on, and then asks its questions again.
            waits=() if ends and status is not Status.FAILED else self.instance.waits,
            failure=self.instance.failure if ends else None,
        )

    # --- events ----------------------------------------------------------------------------

    def raise_event(
        self,
        new: NewEvent,
        *,
        raised_by: str,
        cause: Event | None,
        causation_id: str | None = None,
        branch: Branch | None = None,
        after_end: bool = False,
        limited: bool = True,
    ) -> Event:
        """Raises an event, in a branch where that is given and waited for still; raises
        TooManyEvents at the instance's limit.

        Correlation, metadata and priority come from the cause where the new event names none.
        `limited=False` is for what must be possible at the limit too: the events of statuses, and
        what was promised before.
        """
        if limited:
            self.check_event_limit(1)
        if branch is not None and not self.enter(branch):
            branch = None
        metadata = new.metadata
        if cause is not None and cause.metadata:
            metadata = {**cause.metadata, **new.metadata} if new.metadata else cause.metadata
        event = Event(
            event_id=self.rules.providers.make_id(),
            event_type=new.event_type,
            payload=new.payload,
            raised_by=raised_by,
            version=self.next_version,
            causation_id=cause.event_id if cause is not None else causation_id,
            priority=new.priority
            if new.priority is not None
            else (cause.priority if cause is not None else None),
            correlation_id=self.instance.correlation_id,
            schema_version=new.schema_version,
            metadata=metadata or None,
            after_end=after_end or (cause is not None and cause.after_end),
            deliver_at=new.deliver_at,
            deliver_in=new.delay,
            expires_at=new.expires_at,
            branch=branch,
        )
        self.touch(event_count=self.instance.event_count + 1)
        self._commit.raised.append(event)
        if new.delay or (new.deliver_at is not None and new.deliver_at > self.now):
            self.put_timer(Timer(TimerKind.EVENT, event.event_id, new.delay, new.deliver_at))
            self._moved[event.event_id] = EventFacts(in_outbox=False, timed=True)
        else:
            self.announce(event)
        if new.expires_at is not None:
            self.put_timer(Timer(TimerKind.EXPIRY, event.event_id, due_at=new.expires_at))
        return event

    def announce(self, event: Event) -> None:
        """Puts an event into the outbox."""
        self._touched = True
        self._commit.outbox_add.append(event)
        self._moved[event.event_id] = EventFacts(in_outbox=True)

    def end_timed(self, event: Event) -> None:
        """A delayed event's time will not come."""
        self._touched = True
        self._moved[event.event_id] = SETTLED

    def check_event_limit(self, more: int) -> None:
        """Raises TooManyEvents unless the instance may raise this many more events."""
        if self.instance.event_count + more > self.rules.max_events:
            raise TooManyEvents(
                f"The instance has reached its limit of {self.rules.max_events} events; "
                "start another workflow for further events, or increase the limit.",
                limit=str(self.rules.max_events),
            )

    # --- groups ----------------------------------------------------------------------------

    def group_of(self, branch: Branch) -> Group | None:
        """The group that a branch belongs to; None when it has fired."""
        for group in self.instance.groups:
            if group.group_id == branch.group_id:
                return group
        return None

    def put_group(self, group: Group) -> None:
        """Writes a group that has not fired."""
        self.touch(
            groups=tuple(
                group if one.group_id == group.group_id else one for one in self.instance.groups
            )
        )

    def enter(self, branch: Branch) -> bool:
        """Counts one more thing that is open in a branch; False when its group has fired."""
        group = self.group_of(branch)
        if group is None:
            return False
        count = group.open.get(branch.number, 0) + 1
        self.put_group(replace(group, open={**group.open, branch.number: count}))
        return True

    # --- timers ----------------------------------------------------------------------------

    def put_timer(self, timer: Timer) -> None:
        """Sets a timer that was not set before."""
        place = (timer.kind, timer.ref)
        self._commit.timers_put[place] = timer
        self._commit.timers_remove.discard(place)
        self.touch(timers=self.instance.timers + timer.kind.moves)

    def drop_timer(self, kind: TimerKind, ref: str) -> None:
        """Takes away a timer that is set; one that was taken away here stays so."""
        place = (kind, ref)
        if place in self._commit.timers_remove:
            return
        if self._commit.timers_put.pop(place, None) is None:
            self._commit.timers_remove.add(place)
        self.touch(timers=self.instance.timers - kind.moves)

    def has_dropped(self, kind: TimerKind, ref: str) -> bool:
        """Whether this commit takes a timer away."""
        return (kind, ref) in self._commit.timers_remove

    # --- deliveries and settling -----------------------------------------------------------

    def fix_tasks(self, event: Event) -> None:
        """Takes the event off the outbox: from here on its deliveries have rows or outcomes."""
        self._commit.fixes_tasks = True
        self.leave_outbox(event)

    def leave_outbox(self, event: Event) -> None:
        facts = self.facts(event.event_id)
        assert facts.in_outbox
        self._touched = True
        if event in self._commit.outbox_add:
            self._commit.outbox_add.remove(event)
        else:
            self._commit.outbox_remove.append(event.event_id)
        self._moved[event.event_id] = EventFacts(False, facts.deliveries, facts.announcements)

    def put_delivery(self, delivery: Delivery) -> None:
        """Writes an open delivery's row. One that is not in call gives the instance's turn up."""
        self._touched = True
        place = (delivery.event_id, delivery.task_id)
        facts = self.facts(delivery.event_id)
        self._commit.deliveries_put[place] = delivery
        self._commit.deliveries_remove.discard(place)
        self._moved[delivery.event_id] = EventFacts(
            facts.in_outbox, {**facts.deliveries, delivery.task_id: delivery}
        )
        if delivery.state is not DeliveryState.LEASED:
            self._give_turn_up(place)

    def end_delivery(self, event_id: str, task_id: str) -> None:
        """Takes a delivery's row away, where it has one: its outcome is final."""
        self._touched = True
        place = (event_id, task_id)
        facts = self.facts(event_id)
        if task_id in facts.deliveries:
            self._commit.deliveries_put.pop(place, None)
            if task_id in self._known.get(event_id, SETTLED).deliveries:
                self._commit.deliveries_remove.add(place)
            rest = {task: row for task, row in facts.deliveries.items() if task != task_id}
            self._moved[event_id] = EventFacts(facts.in_outbox, rest)
        self._give_turn_up(place)

    def _give_turn_up(self, place: tuple[str, str]) -> None:
        turn = self.instance.turn
        if turn is not None and turn.holder == place:
            self.touch(turn=None)

    def add_dead_letter(self, dead_letter: NewDeadLetter) -> None:
        self._commit.dead_letters.append(dead_letter)
        self.touch(dead_letters=self.instance.dead_letters + 1)

    def take_dead_letter(self, dead_letter_id: str, *, retried: bool) -> None:
        """Resolves an open dead letter: retried, or discarded."""
        resolved = (
            self._commit.dead_letters_retried if retried else self._commit.dead_letters_discarded
        )
        resolved.append(dead_letter_id)
        self.touch(dead_letters=self.instance.dead_letters - 1)

    def note_ended(
        self,
        event: Event,
        ending: Ending,
        task_ids: Sequence[str] = (),
        lost_event_type: str = "",
    ) -> Branch | None:
        """Notes how an event ended (as of `Idle`), unless something of it is open still: should nothing
        else be open either, this is why the instance stands idle. Answers, once, with its branch where
        that waits for it no longer."""
        facts = self.facts(event.event_id)
        if not facts.is_open:
            self._last_ended = (event, ending, task_ids, lost_event_type)
        if (
            event.branch is None
            or self.is_over
            or facts.holds_group
            or event.event_id in self._left_group
            or not self._known.get(event.event_id, SETTLED).holds_group
        ):
            return None
        self._left_group.add(event.event_id)
        return event.branch

    # --- the end ---------------------------------------------------------------------------

    def commit(self) -> InstanceCommit:
        """Everything to write; empty when no move was made."""
        if self._touched:
            opened = sum(
                facts.is_open - self._known.get(event_id, SETTLED).is_open
                for event_id, facts in self._moved.items()
            )
            self.touch(unsettled=self.before.unsettled + opened, revision=self.before.revision + 1)
            self._notice_end()
            self._notice_idle()
        self._commit.after = self.snapshot()
        return self._commit

    def _notice_end(self) -> None:
        """Has what is open settled once the instance has ended for good."""
        instance = self.instance
        if (
            self.is_over
            and not lifecycle.is_over(self.before)
            and (instance.unsettled or instance.timers or instance.deadline is not None)
        ):
            self.put_timer(Timer(TimerKind.CLEANUP, due_in=0.0))
        if instance.groups and self.is_over:
            self.touch(groups=())

    def _notice_idle(self) -> None:
        instance = self.instance
        if not is_idle(
            active=instance.status is Status.ACTIVE,
            unsettled=instance.unsettled,
            dead_letters=instance.dead_letters,
            timers=instance.timers,
        ):
            if instance.idle is not None:
                self.touch(idle=None, idle_since=None)
        elif instance.idle is None and self._last_ended is not None:
            event, ending, ids, lost = self._last_ended
            idle = Idle(event.event_id, event.event_type, event.raised_by, ending, tuple(ids), lost)
            self.touch(idle=idle, idle_since=self.now)
