"""After the commit: announces events, and sends notices to those who wait for an instance.

The outbox rows are the guarantee; this only makes it fast. Messages that the broker returned or did not
confirm become due at once, and the sweeper announces them again; so it does with events that are left out
because too many have no outcome yet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from waystation_core.background import Retries, job
from waystation_core.outcome_seal import OutcomeSeal
from waystation_core.ports.broker import (
    MAX_EVENTS_PER_ANNOUNCEMENT,
    AnnouncedEvent,
    Announcement,
    AnnounceOutcome,
    Broker,
    DeadLetterCopy,
    Notice,
    level_of,
)
from waystation_core.ports.observer import Observer
from waystation_core.ports.store import DueEvent, EngineStore
from waystation_core.relay.fair_levels import FairLevels
from waystation_domain.actions import Start
from waystation_domain.commit import InstanceCommit
from waystation_domain.errors import StoreUnavailable
from waystation_domain.lifecycle import ends_a_wait
from waystation_domain.model import Event, Instance

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_OUTCOME_BYTES = 256 * 1024
"""Of the outcomes in one message of notices; the others are read."""

MOST_UNDER_WAY = 20_000
"""Above so many events without an outcome, further ones are left to the sweeper."""


class Relay:
    """Announces what commits raised. Calls return at once; `close` waits for what is under way."""

    def __init__(
        self,
        store: EngineStore,
        broker: Broker,
        seal: Callable[[str], OutcomeSeal | None] = lambda namespace: None,
        observer: Observer | None = None,
    ) -> None:
        """`seal` gives what outcomes in notices of a namespace are sealed with, once that is known. `observer` gets every
        change."""
        self._observer = observer
        self._seal = seal
        self._store = store
        self._broker = broker
        self._levels = FairLevels()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._events_under_way = 0
        self.events_announced = 0
        """For the first time, since the start."""
        self.events_announced_again = 0
        self.events_not_taken = 0
        """By the broker: it returned them, or did not confirm them."""
        # Events that could not be made due.
        self._not_due: deque[str] = deque(maxlen=MOST_UNDER_WAY)
        self._not_announced = Retries("announcements_left_to_the_sweeper")
        self._not_taken = Retries("announcements_not_taken")
        self._not_made_due = Retries("announcements_not_made_due")

    def committed(
        self,
        commits: Sequence[InstanceCommit],
        *,
        continued: Collection[str] = (),
    ) -> None:
        """Announces the events of these commits, except those that the caller has `continued`, and sends
        notices of their instances. Commits without changes are ignored."""
        if self._not_due:
            self._make_due_again()
        commits = [commit for commit in commits if not commit.is_empty]
        raised = [
            self._of_commit(event, commit.after)
            for commit in commits
            for event in commit.outbox_add
            if event.event_id not in continued
        ]
        if continued:
            self._count(commits, continued)
        if raised:
            self._announce(_grouped(raised))
        copies = [
            DeadLetterCopy(
                event_id=dead_letter.event_id,
                event_type=dead_letter.event_type,
                workflow_instance_id=commit.after.workflow_instance_id,
                workflow_type=commit.after.workflow_type,
                task_id=dead_letter.task_id,
                attempts=dead_letter.attempts,
                reason=str(dead_letter.error["reason"]),
                message=str(dead_letter.error["message"]),
            )
            for commit in commits
            for dead_letter in commit.dead_letters
        ]
        if copies:
            self._broker.dead_letter(copies)
        # Only changes that can end a wait are reported: one notice for a workflow instead of one for each
        # step.
        ends = [
            commit
            for commit in commits
            if ends_a_wait(commit.after.status, idle=commit.after.idle is not None)
        ]
        if ends:
            self._broker.notify(self._notices(ends))
        if self._observer is not None and commits:
            self._observer.committed(commits)

    def _count(self, commits: Sequence[InstanceCommit], continued: Collection[str]) -> None:
        """What floods is seen by all that it raises: else what is announced would be taken for the flood."""
        now = asyncio.get_running_loop().time()
        for commit in commits:
            for event in commit.outbox_add:
                if event.event_id in continued:
                    self._levels.count(commit.after.workflow_type, now, commit.after.namespace)

    def _notices(self, commits: Sequence[InstanceCommit]) -> list[Notice]:
        room = MOST_OUTCOME_BYTES
        notices = []
        for commit in commits:
            outcome = b""
            seal = self._seal(commit.after.namespace)
            if seal is not None and room > 0:
                outcome = seal.sealed(commit)
                room -= len(outcome)
            notices.append(
                Notice(
                    workflow_instance_id=commit.after.workflow_instance_id,
                    version=commit.after.version,
                    status=int(commit.after.status),
                    idle=commit.after.idle is not None,
                    namespace=commit.after.namespace,
                    outcome=outcome,
                )
            )
        return notices

    def perhaps_committed(self, commits: Sequence[InstanceCommit]) -> None:
        """Has the events of these commits announced soon, if they were written: the answer to the commit was
        lost, and nobody else knows of them."""
        raised = [event.event_id for commit in commits for event in commit.outbox_add]
        if raised:
            self._not_due.extend(raised)
            self._make_due_again()

    def started(self, starts: Sequence[Start]) -> None:
        """Announces the first events of new instances. Nobody can wait for them yet."""
        self._announce(_grouped(self._of_commit(start.event, start.instance) for start in starts))
        if self._observer is not None:
            self._observer.started(starts)

    async def announce_due(self, due: Sequence[DueEvent]) -> bool:
        """Announces events that the sweeper claimed; returns whether the broker took them all."""
        self.events_announced_again += len(due)
        return await self._announced(_grouped(due))

    async def close(self) -> None:
        """Waits until everything announced has its outcome."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _of_commit(self, event: Event, instance: Instance) -> DueEvent:
        now = asyncio.get_running_loop().time()
        return DueEvent(
            event_id=event.event_id,
            event_type=event.event_type,
            workflow_instance_id=instance.workflow_instance_id,
            workflow_type=instance.workflow_type,
            version=instance.version,
            priority=self._levels.priority(
                instance.workflow_type, event.effective_priority, now, instance.namespace
            ),
            announcements=1,
            correlation_id=event.correlation_id,
            traceparent=event.metadata.get("traceparent") if event.metadata else None,
            namespace=instance.namespace,
        )

    def _announce(self, batch: list[Announcement]) -> None:
        events = sum(len(announcement.events) for announcement in batch)
        if self._events_under_way and self._events_under_way + events > MOST_UNDER_WAY:
            # A slow broker or database must not fill the memory of its clients.
            self._not_announced.failed(None, events=events)
            return
        self._not_announced.over()
        self.events_announced += events
        self._events_under_way += events
        self._begin("announce", self._announced(batch)).add_done_callback(
            lambda _: self._release(events)
        )

    def _release(self, events: int) -> None:
        self._events_under_way -= events

    def _make_due_again(self) -> None:
        event_ids, self._not_due = list(self._not_due), deque(maxlen=MOST_UNDER_WAY)
        self._begin("make due", self._make_due(event_ids))

    def _begin(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = job(name, work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _announced(self, batch: list[Announcement]) -> bool:
        outcomes = await self._broker.announce(batch)
        missed = [
            event.event_id
            for announcement, outcome in zip(batch, outcomes, strict=True)
            if outcome is not AnnounceOutcome.CONFIRMED
            for event in announcement.events
        ]
        if missed:
            self.events_not_taken += len(missed)
            self._not_taken.failed(None, events=len(missed))
            await self._make_due(missed)
        else:
            self._not_taken.over()
        return not missed

    async def _make_due(self, event_ids: Sequence[str]) -> None:
        try:
            await self._store.make_due(event_ids)
            self._not_made_due.over()
        except StoreUnavailable as error:
            # Tried again after the next commit. Their rows also become due on their own.
            self._not_made_due.failed(error, events=len(event_ids))
            self._not_due.extend(event_ids)


def _grouped(due: Iterable[DueEvent]) -> list[Announcement]:
    """One message for events of the same type and level, up to the limits of a message."""
    groups: dict[tuple[str, int], list[DueEvent]] = {}
    for event in due:
        groups.setdefault((event.event_type, level_of(event.priority)), []).append(event)
    batch = []
    for (event_type, _), members in groups.items():
        for at in range(0, len(members), MAX_EVENTS_PER_ANNOUNCEMENT):
            part = members[at : at + MAX_EVENTS_PER_ANNOUNCEMENT]
            alone = part[0] if len(part) == 1 else None
            batch.append(
                Announcement(
                    event_type=event_type,
                    priority=part[0].priority,
                    events=tuple(
                        AnnouncedEvent(
                            event_id=event.event_id,
                            workflow_instance_id=event.workflow_instance_id,
                            workflow_type=event.workflow_type,
                            version=event.version,
                            namespace=event.namespace,
                        )
                        for event in part
                    ),
                    correlation_id=alone.correlation_id if alone else None,
                    traceparent=alone.traceparent if alone else None,
                )
            )
    return batch
