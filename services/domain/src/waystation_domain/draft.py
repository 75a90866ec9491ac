"""A commit in the making: a working copy of one instance, and the changes that every decision is made of.

`results` (what tasks answered) and `actions` (what clients and operators asked for) decide. Both write
through this, so versions, events, statuses and idleness are handled in one place.
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
    """What a decision needs besides the instance."""

    providers: Providers
    resolve: Callable[[str, str], Sequence[TaskSpec]] | None = None
    """The tasks that handle (event type, workflow type) now. None: not known here, so every raised event is
    announced."""
    max_events: int = limits.MAX_EVENTS_PER_INSTANCE


class Draft:
    """The working copy. Call `commit()` after all changes."""

    def __init__(
        self,
        instance: Instance,
        *,
        facts: Mapping[str, EventFacts],
        rules: Rules,
        now: datetime,
        log: Sequence[LoggedWrites] = (),
        principal: str | None = None,
    ) -> None:
        """`now` is the time of the whole decision, by the clock of the store that keeps the instance: stored
        times and due times are by that clock too. `principal` makes the call that is decided, if there is
        one: actions of clients are recorded with it."""
        self.before = instance
        self._instance = instance
        self._shared = True
        self.now = now
        self.rules = rules
        self.principal = principal
        # What this draft has changed of `_known`.
        self._known = facts
        self._moved: dict[str, EventFacts] = {}
        self._log = list(log)
        self._touched = False
        self._left_group: set[str] = set()
        self._last_ended: tuple[Event, Ending, Sequence[str], str] | None = None
        self._commit = InstanceCommit(before=instance, after=instance)

    # --- what is known ---------------------------------------------------------------------

    def facts(self, event_id: str) -> EventFacts:
        """What is open of an event, with the changes made so far. An unknown event counts as settled, so the
        draft needs the facts of every event whose deliveries it changes."""
        return self._moved.get(event_id) or self._known.get(event_id, SETTLED)

    def treatment(self, event: Event) -> lifecycle.Treatment:
        """How an event's deliveries are treated now."""
        return lifecycle.treatment(self.instance, event)

    def writes_since(self, version: int) -> list[Write]:
        """What was written after this version, by this draft too."""
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
            # Nobody else has the working copy. dataclasses.replace would cost ten times as much, several
            # times for each result.
            object.__setattr__(self._instance, name, value)

    @property
    def instance(self) -> Instance:
        """The instance with the changes made so far. Later changes are visible in it, unlike in `snapshot`."""
        return self._instance

    @property
    def is_over(self) -> bool:
        """Whether the instance has ended and no retry can continue it."""
        return lifecycle.is_over(self._instance)

    def snapshot(self) -> Instance:
        """The instance with the changes made so far; later changes do not affect it."""
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
        """Sets the status, if the table allows it."""
        if not lifecycle.may_move(self.instance.status, status):
            raise AssertionError(f"no move {self.instance.status.name} -> {status.name}")
        ends = not status.is_open
        self.touch(
            status=status,
            completed_at=self.now if ends else None,
            # A FAILED instance may continue, and then asks for the same input again.
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
        """Raises an event, in `branch` if its group has not fired. Raises TooManyEvents at the instance's
        limit.

        Correlation, metadata and priority come from the cause unless the new event sets them. `limited=False`
        is for events that must be possible at the limit too: those of statuses, and those promised before.
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
        """Drops a delayed event before its time."""
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
        """Counts one more open item of a branch; False if its group has fired."""
        group = self.group_of(branch)
        if group is None:
            return False
        count = group.open.get(branch.number, 0) + 1
        self.put_group(replace(group, open={**group.open, branch.number: count}))
        return True

    # --- timers ----------------------------------------------------------------------------

    def put_timer(self, timer: Timer) -> None:
        """Sets a new timer."""
        place = (timer.kind, timer.ref)
        self._commit.timers_put[place] = timer
        self._commit.timers_remove.discard(place)
        self.touch(timers=self.instance.timers + timer.kind.moves)

    def drop_timer(self, kind: TimerKind, ref: str) -> None:
        """Removes a timer that is set; removing it twice has no further effect."""
        place = (kind, ref)
        if place in self._commit.timers_remove:
            return
        if self._commit.timers_put.pop(place, None) is None:
            self._commit.timers_remove.add(place)
        self.touch(timers=self.instance.timers - kind.moves)

    def has_dropped(self, kind: TimerKind, ref: str) -> bool:
        """Whether this commit removes the timer."""
        return (kind, ref) in self._commit.timers_remove

    # --- deliveries and settling -----------------------------------------------------------

    def fix_tasks(self, event: Event) -> None:
        """Removes the event from the outbox: from now on its deliveries have rows or outcomes."""
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
        """Writes the row of an open delivery. Unless it is in call, the delivery gives up the instance's
        turn."""
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
        """Deletes the row of a delivery, if it has one: its outcome is final."""
        self._touched = True
        place = (event_id, task_id)
        facts = self.facts(event_id)
        if task_id in facts.deliveries:
            self._commit.deliveries_put.pop(place, None)
            if task_id in self._known.get(event_id, SETTLED).deliveries:
                self._commit.deliveries_remove.add(place)
            remaining = {task: row for task, row in facts.deliveries.items() if task != task_id}
            self._moved[event_id] = EventFacts(facts.in_outbox, remaining)
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
        """Records how an event ended (see `Idle`), unless something of it is still open: if nothing else is
        open either, this is why the instance is idle. Returns the event's branch, once, when that no longer
        waits for the event."""
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
        """Everything to write; empty if nothing was changed."""
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
        """Has everything open settled once the instance has ended and cannot continue."""
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
