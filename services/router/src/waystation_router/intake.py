"""From messages to events in hand: takes messages, loads unknown events, passes them on.

A message is acknowledged as soon as its events do not need it any more: they are settled, or their deliveries
have rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from waystation_core.background import Retries, job, wait_before
from waystation_core.ports.broker import Received, Subscription, Token
from waystation_core.ports.store import EngineStore, Loaded
from waystation_domain.commit import EventFacts
from waystation_domain.errors import StoreUnavailable
from waystation_router.admission import Admission
from waystation_router.flood_line import FloodLine
from waystation_router.flood_window import FloodWindow
from waystation_router.ledger import Ledger, Message

log = structlog.get_logger(__name__)

BATCH = 100
LOADS_AT_ONCE = 3
LOADS_OF_AN_EVENT = 5
"""An event that changes during each of so many loads is left to its outbox row."""

SUSPECT_AFTER_ANNOUNCEMENTS = 2
"""An event announced more often may be the cause of crashes."""


class Intake:
    """Feeds the router from its subscription until that is stopped."""

    def __init__(
        self,
        ledger: Ledger,
        store: EngineStore,
        admission: Admission,
        window: FloodWindow,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._admission = admission
        self._line = FloodLine(window, self._enter)
        self._unacknowledged = 0
        self._loading: dict[str, list[Message]] = {}
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retries = Retries("load_failed")
        self._acks: list[Token] = []
        self._subscription: Subscription | None = None

    @property
    def buffered(self) -> int:
        """Messages that wait to be processed."""
        return self._not_taken + len(self._line)

    @property
    def unacknowledged(self) -> int:
        """Messages that this router holds, with the waiting ones."""
        return self._not_taken + self._unacknowledged

    @property
    def _not_taken(self) -> int:
        return self._subscription.buffered if self._subscription is not None else 0

    async def run(self, subscription: Subscription) -> None:
        """Returns when the subscription is stopped and everything taken is passed on."""
        self._subscription = subscription
        while True:
            await self._loads.acquire()
            try:
                received = await subscription.take(BATCH)
            except BaseException:
                self._loads.release()
                raise
            if not received:
                self._loads.release()
                break
            self._unacknowledged += len(received)
            wanted, suspects = self._admit_known(self._line.pass_on(received))
            if wanted:
                load = self._begin(self._load_or_leave(wanted, suspects))
                load.add_done_callback(lambda _: self._loads.release())
            else:
                self._loads.release()
        self._line.close()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _enter(self, received: Sequence[Received]) -> None:
        """Passes on what had to wait for room."""
        wanted, suspects = self._admit_known(received)
        if wanted:
            self._begin(self._load_in_turn(wanted, suspects))

    async def _load_in_turn(self, event_ids: Sequence[str], suspects: set[str]) -> None:
        # A flood enters a few events at a time, and not more slowly while the database answers slowly.
        async with self._loads:
            await self._load_or_leave(event_ids, suspects)

    def _begin(self, load: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = job("load", load)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _admit_known(self, received: Sequence[Received]) -> tuple[list[str], set[str]]:
        """Passes on events that need no load; returns the ids of the others."""
        wanted: list[str] = []
        suspects: set[str] = set()
        for one in received:
            announcement = one.announcement
            message = Message(one.token, len(announcement.events), self._ack)
            for announced in announcement.events:
                event_id = announced.event_id
                if handling := self._ledger.handlings.get(event_id):
                    # Announced twice, or redelivered after a lost connection, while in hand here.
                    if handling.facts.in_outbox:
                        handling.messages.append(message)
                    else:
                        message.release()
                elif waiting := self._loading.get(event_id):
                    waiting.append(message)
                elif (
                    not one.redelivered
                    and (known := self._ledger.remembered_event(announced)) is not None
                ):
                    state, event = known
                    handling = self._ledger.open(
                        event, state, EventFacts(True, announcements=1), state.instance.revision
                    )
                    handling.messages.append(message)
                    self._admission.admit(handling, suspect=False)
                else:
                    self._loading[event_id] = [message]
                    wanted.append(event_id)
                    if one.redelivered:
                        suspects.add(event_id)
        return wanted, suspects

    def _ack(self, token: Token) -> None:
        self._unacknowledged -= 1
        self._line.acknowledged(token)
        if not self._acks:
            # Acks of one turn of the loop are sent together.
            asyncio.get_running_loop().call_soon(self._flush_acks)
        self._acks.append(token)

    def _flush_acks(self) -> None:
        acks, self._acks = self._acks, []
        if self._subscription is not None:
            self._subscription.ack(acks)

    async def _load_or_leave(
        self, event_ids: Sequence[str], suspects: set[str], loads: int = 1
    ) -> None:
        """A fault here must not keep a message for ever, nor affect other events of the batch."""
        self._ledger.load_begins(event_ids)
        try:
            loaded = await self._load(event_ids)
        except Exception:
            if len(event_ids) == 1:
                self._ledger.load_ended(event_ids[0], None)
                self._leave(event_ids[0], self._loading.pop(event_ids[0]))
                return
            # Perhaps only one of them is at fault: each is loaded alone.
            log.exception("batch_taken_apart", events=len(event_ids))
            for event_id in event_ids:
                await self._load_or_leave([event_id], suspects)
            return
        moved = []
        for event_id in event_ids:
            believed = self._ledger.load_ended(event_id, loaded)
            if not believed and loads < LOADS_OF_AN_EVENT:
                moved.append(event_id)
                continue
            messages = self._loading.pop(event_id)
            if not believed:
                log.warning("event_keeps_moving", event_id=event_id)
                for message in messages:
                    message.release()
                continue
            try:
                self._take_in_hand(event_id, messages, loaded, suspects)
            except Exception:
                self._leave(event_id, messages)
        if moved:
            await self._load_or_leave(moved, suspects, loads + 1)

    def _leave(self, event_id: str, messages: Sequence[Message]) -> None:
        """Drops an event that could not be taken in hand. Its message is acknowledged, or it would be held
        for ever; its outbox row has it announced again, and then it is loaded again."""
        log.exception("event_not_taken_in_hand", event_id=event_id)
        handling = self._ledger.handlings.get(event_id)
        if handling is not None:
            if any(call.running or call.has_outcome for call in handling.calls.values()):
                # It is in hand anyway, and acknowledges its messages itself.
                return
            self._ledger.close(handling)
        for message in messages:
            message.release()

    async def _load(self, event_ids: Sequence[str]) -> Loaded:
        """Waits for the store while that cannot be reached."""
        failures = 0
        while True:
            try:
                loaded = await self._store.load(event_ids)
                self._retries.over()
                break
            except StoreUnavailable as error:
                failures += 1
                self._retries.failed(error, events=len(event_ids))
                self._ledger.forget_copies()
                await asyncio.sleep(wait_before(failures))
        self._ledger.learn(loaded)
        return loaded

    def _take_in_hand(
        self, event_id: str, messages: list[Message], loaded: Loaded, suspects: set[str]
    ) -> None:
        found = loaded.events.get(event_id)
        if found is None:
            # Published by hand, or from a restored database: there is nothing to do.
            log.warning("unknown_event", event_id=event_id)
            for message in messages:
                message.release()
            return
        event, key = found
        facts = loaded.facts[event_id]
        if handling := self._ledger.handlings.get(event_id):
            # A delivery of it was claimed meanwhile.
            handling.messages += messages
            if not handling.facts.in_outbox:
                handling.release_messages()
            return
        if not facts.in_outbox:
            for message in messages:
                message.release()
            return
        handling = self._ledger.open(
            event, self._ledger.state(key), facts, loaded.instances[key].revision
        )
        handling.messages += messages
        self._admission.admit(
            handling,
            suspect=event_id in suspects or facts.announcements > SUSPECT_AFTER_ANNOUNCEMENTS,
        )
