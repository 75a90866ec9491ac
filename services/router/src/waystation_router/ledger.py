"""What this router has in hand: messages, events being handled, and their instances.

The copy of an instance is valid for its revision. While only this router's own commits change the instance,
everything known of its events stays valid (a *lineage*); `Handling.known` is the revision of that. After
another change the next fast commit writes nothing, and the locked form reads everything again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from waystation_core.ports.broker import AnnouncedEvent, Token
from waystation_core.ports.store import Loaded
from waystation_core.tracing.trace_context import TraceContext
from waystation_domain.commit import EventFacts, InstanceCommit, LoggedWrites, writes_of
from waystation_domain.model import Delivery, Event, Instance, JsonObject, idempotency_key
from waystation_domain.operations import from_json
from waystation_domain.outcomes import CallResult
from waystation_domain.task_spec import TaskSpec
from waystation_router import endpoints
from waystation_router.store_clock import StoreClock

MAX_REMEMBERED_INSTANCES = 5_000
"""Cached copies of instances with nothing under way: their next event may come here."""

MAX_REMEMBERED_WRITES = 50
"""Versions of an instance whose writes are kept for the conflict rule."""


UNKNOWN = 0
"""For `Handling.known`: no revision has this number."""


class Message:
    """One unacknowledged message; acked when none of its events needs it any more."""

    __slots__ = ("_ack", "left", "since", "token")

    def __init__(self, token: Token, events: int, ack: Callable[[Token], None]) -> None:
        self.token = token
        self.left = events
        self.since = time.monotonic()
        self._ack = ack

    def release(self) -> None:
        """One of its events does not need it any more: it is settled, or has rows."""
        self.left -= 1
        if self.left == 0:
            self._ack(self.token)


@dataclass(slots=True, eq=False)
class DeliveryCall:
    """One delivery in this router's hands: in call, or with a result to commit."""

    task: TaskSpec
    attempt: int = 1
    edit: int = 0
    payload: JsonObject | None = None
    """Replaces the event's payload, after an edited retry."""
    suspect: bool = False
    conflicts: int = 0
    base_version: int = 0
    trace: TraceContext | None = None
    """The span of the call, while calls are traced."""
    running: endpoints.EndpointCall | None = None
    finished: asyncio.Event | None = None
    """Set at its outcome, if somebody waits for that."""
    result: CallResult | None = None
    row: Delivery | None = None
    """Written instead of a result: the delivery gets a row."""
    row_since: float = 0.0
    """When that was decided, by the monotonic clock."""

    @property
    def has_outcome(self) -> bool:
        return self.result is not None or self.row is not None

    def key(self, event_id: str) -> str:
        return idempotency_key(event_id, self.task.task_id, self.edit)


@dataclass(slots=True, eq=False)
class Handling:
    """One event in this router's hands."""

    event: Event
    state: InstanceState
    facts: EventFacts
    known: int
    """The instance's revision at which `facts` were valid."""
    tasks: Sequence[TaskSpec] = ()
    generation: int = 0
    calls: dict[str, DeliveryCall] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    holds: bool = False
    """Whether deliveries in call get leased rows, so that the message can be acked."""
    wants_turn: TaskSpec | None = None
    claimed_meanwhile: bool = False
    """Whether a delivery of it was claimed during a commit that does not know of that."""

    @property
    def event_id(self) -> str:
        return self.event.event_id

    @property
    def has_something_to_write(self) -> bool:
        """False once all of it is settled or in rows."""
        return bool(self.calls) or self.facts.in_outbox or self.wants_turn is not None

    def release_messages(self) -> None:
        messages, self.messages = self.messages, []
        for message in messages:
            message.release()


class InstanceState:
    """This router's copy of one instance, and the writes of its last few versions."""

    __slots__ = (
        "failed_commits",
        "handlings",
        "instance",
        "lineage_from",
        "log",
        "log_from",
        "raised",
    )

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.lineage_from = instance.revision
        """Since this revision, only this router's own commits changed the instance."""
        self.handlings: set[Handling] = set()
        self.log: list[LoggedWrites] = []
        # Writes of versions after this one are in `log`.
        self.log_from = instance.version
        # Events that our own commits raised in this lineage: they need no load.
        self.raised: dict[str, Event] = {}
        self.failed_commits = 0
        """Failures in a row without an outage."""

    def replace(self, instance: Instance) -> None:
        """Another process changed the instance: a new lineage begins."""
        self.instance = instance
        self.lineage_from = instance.revision
        self.log = []
        self.log_from = instance.version
        self.raised = {}

    def advance(self, commit: InstanceCommit) -> None:
        """Our own commit changed the instance: what is known stays valid."""
        if commit.before.revision != self.instance.revision:
            self.replace(commit.after)
        else:
            self.instance = commit.after
            for entry in commit.entries:
                writes = writes_of([from_json(op) for op in entry.change or ()], entry.effects)
                if writes:
                    self.log.append(LoggedWrites(entry.sequence, writes))
            if len(self.log) > 2 * MAX_REMEMBERED_WRITES:
                # Older results are decided under the lock, which reads history.
                del self.log[:-MAX_REMEMBERED_WRITES]
                self.log_from = self.log[0].version - 1
        for event in commit.outbox_add:
            self.raised[event.event_id] = event
        for handling in self.handlings:
            if handling.known == commit.before.revision:
                handling.known = commit.after.revision


class Ledger:
    """Everything in hand. Single-threaded: everything happens in the router's event loop."""

    def __init__(self) -> None:
        self.handlings: dict[str, Handling] = {}
        self._states: dict[int, InstanceState] = {}
        self._remembered: OrderedDict[tuple[str, str], InstanceState] = OrderedDict()
        self._being_loaded: set[str] = set()
        self.clock = StoreClock()

    def states_of(self, namespace: str, workflow_instance_id: str) -> InstanceState | None:
        return self._remembered.get((namespace, workflow_instance_id))

    def remembered_event(self, announced: AnnouncedEvent) -> tuple[InstanceState, Event] | None:
        """An event that one of our own commits raised, with a copy of its instance that is not older than the
        announcement."""
        state = self.states_of(announced.namespace, announced.workflow_instance_id)
        if state is None or state.instance.version < announced.version:
            return None
        event = state.raised.get(announced.event_id)
        return None if event is None else (state, event)

    def load_begins(self, event_ids: Sequence[str]) -> None:
        """From now on the ledger records which of these events this router changes."""
        self._being_loaded.update(event_ids)

    def load_ended(self, event_id: str, loaded: Loaded | None) -> bool:
        """Whether the facts of a load are valid, once `learn` has taken it over. Not if this router changed
        the event during the load, or if another process has changed the instance since: by the load, a
        settled event may be in the outbox."""
        believed = event_id in self._being_loaded
        self._being_loaded.discard(event_id)
        if loaded is None or event_id not in loaded.events:
            return True
        _, key = loaded.events[event_id]
        return believed and loaded.instances[key].revision >= self._states[key].lineage_from

    def learn(self, loaded: Loaded) -> None:
        """Takes over what a load read, also of instances that have ended: their open deliveries are about to
        be taken in hand."""
        if loaded.now is not None:
            self.clock.set(loaded.now)
        for key, instance in loaded.instances.items():
            state = self._states.get(key)
            if state is None:
                state = InstanceState(instance)
                self._states[key] = state
            elif instance.revision > state.instance.revision:
                state.replace(instance)
            self._remember(state)

    def moved(self, commit: InstanceCommit) -> None:
        """Takes over a commit of ours that is not from an event in hand. If it changed one in hand anyway (it
        expired, its instance ended), the facts of that are unknown: the locked form reads them again."""
        self._being_loaded -= commit.moved_events
        state = self._states.get(commit.before.key)
        if state is None:
            return
        state.advance(commit)
        moved = commit.moved_events
        for handling in state.handlings:
            if handling.event_id in moved:
                handling.known = UNKNOWN

    def state(self, key: int) -> InstanceState:
        return self._states[key]

    def open(self, event: Event, state: InstanceState, facts: EventFacts, known: int) -> Handling:
        """Takes an event in hand."""
        handling = Handling(event, state, facts, known)
        self.handlings[event.event_id] = handling
        state.handlings.add(handling)
        state.raised.pop(event.event_id, None)
        return handling

    def close(self, handling: Handling) -> None:
        """Removes an event: nothing of it is under way here."""
        state = handling.state
        self.handlings.pop(handling.event_id, None)
        self._being_loaded.discard(handling.event_id)
        state.handlings.discard(handling)
        self._remember(state)
        if not state.handlings and not state.instance.status.is_open and not state.raised:
            self._drop(state)

    def forget_copies(self) -> None:
        """Drops all copies with nothing under way: after an outage of the database they may be outdated
        without a sign."""
        for state in list(self._remembered.values()):
            if state.handlings:
                state.raised = {}
            else:
                self._drop(state)

    def _remember(self, state: InstanceState) -> None:
        place = _place(state)
        self._remembered[place] = state
        self._remembered.move_to_end(place)
        while len(self._remembered) > MAX_REMEMBERED_INSTANCES:
            oldest = next(iter(self._remembered.values()))
            if oldest.handlings:
                # Something is under way, so it must be found again: it goes to the end.
                self._remembered.move_to_end(_place(oldest))
                break
            self._drop(oldest)

    def _drop(self, state: InstanceState) -> None:
        self._remembered.pop(_place(state), None)
        self._states.pop(state.instance.key, None)


def _place(state: InstanceState) -> tuple[str, str]:
    return state.instance.namespace, state.instance.workflow_instance_id
