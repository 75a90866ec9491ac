"""DeadLetterQueries: reads of dead letters, a part of QueryStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_domain.commit import EventFacts
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.model import DEFAULT_NAMESPACE, DeadLetterState, Delivery, Event, Instance
from waystation_domain.stored import DeadLetterFact


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters. Of each condition one value must hold; no values: any."""

    workflow_instance_ids: tuple[str, ...] = ()
    workflow_types: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    states: tuple[DeadLetterState, ...] = (DeadLetterState.OPEN,)
    id_prefix: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Dead letters with the same task and reason."""

    task_id: str
    reason: str
    count: int
    retryable: int
    workflows: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterCounts:
    """How many dead letters there are, of the newest so many."""

    count: int = 0
    retryable: int = 0
    workflows: int = 0
    groups: Sequence[DeadLetterGroup] = ()
    """The largest first."""
    groups_left_out: int = 0
    more: bool = False
    """Whether there are older ones, which are not counted."""


@dataclass(frozen=True, slots=True)
class DeadLetterInstances:
    """A portion of the instances that dead letters belong to."""

    keys: Sequence[int]
    """In order."""
    after: int | None
    """Where the next portion begins; None: there are no more."""


@dataclass(frozen=True, slots=True)
class InstanceDeadLetters:
    """Dead letters of one instance, with all that deciding needs. Read without a lock: the decision is valid
    if the instance still has its revision. Events are without payloads."""

    instance: Instance
    dead_letters: Sequence[OpenDeadLetter]
    held: Sequence[tuple[Delivery, Event]]
    """All HELD deliveries."""
    facts: Mapping[str, EventFacts]
    """Of the events of all these, and perhaps of others."""
    now: datetime
    """When it was read."""


@dataclass(frozen=True, slots=True)
class OpenDeadLetters:
    """Open dead letters of several instances."""

    of: Sequence[InstanceDeadLetters]
    remaining: Sequence[int]
    """Instances with dead letters that must be read one by one, under their locks."""


class DeadLetterQueries(Protocol):
    """Reads of dead letters. See QueryStore."""

    async def dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[DeadLetterFact]:
        """Newest first."""
        ...

    async def count_dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        limit: int = 100_000,
        groups: int = 1_000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> DeadLetterCounts:
        """How many there are in all and of each kind; at most `limit` are counted."""
        ...

    async def dead_letter_instances(
        self,
        filter: DeadLetterFilter,
        *,
        after: int = 0,
        limit: int = 5_000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> DeadLetterInstances:
        """Instances of such dead letters, after that key. Reads at most `limit` dead letters, matching or
        not; so an instance may have no matching one, and there may be fewer instances, or none, although
        there are more."""
        ...

    async def open_dead_letters(
        self,
        keys: Sequence[int],
        filter: DeadLetterFilter,
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> OpenDeadLetters:
        """The open dead letters of these instances that match a filter. `remaining` are instances with more
        than `limit` of them or more HELD deliveries, large ones, and those in which a delivery has the turn.
        """
        ...

    async def dead_letter(
        self, dead_letter_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> DeadLetterFact:
        """One, whatever its state. Raises DeadLetterNotFound."""
        ...
