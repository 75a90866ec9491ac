"""The broker: carries announcements between processes.

The broker distributes; it stores nothing that matters. Postgres is the truth, so a broker may lose every
message, queue and exchange: the sweeper repeats a lost announcement, and a repeated one settles nothing
twice. Therefore messages have identities only, nothing here raises if the broker is away, and an adapter
reports losses that it can notice (`Broker.on_messages_lost`) instead of repairing them.

Two adapters implement this specification, and one contract suite tests both: RabbitMQ
(`waystation_core.broker.amqp`) and one process (`waystation_core.broker.in_process`). Everything is called
from one event loop; nothing is thread-safe.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from waystation_domain.model import DEFAULT_NAMESPACE

DEFAULT_POOL = "default"

POOL_EXPIRES_SECONDS = 300.0
"""Seconds that the queue of a pool other than the default one stays without a consumer."""

LEVELS = 10
"""Priority levels of a broker, 0 (last) to 9 (first)."""

MAX_EVENTS_PER_ANNOUNCEMENT = 50
"""Keeps a message below `MAX_BODY_BYTES` even if every id has its full 200 characters."""

MAX_BINDINGS = 100
"""Of one pool."""

MAX_BODY_BYTES = 64 * 1024
"""A message whose body is larger is treated as undecodable."""

CONFIRM_SECONDS = 5.0
"""How long `Broker.announce` waits for confirms before it answers UNCONFIRMED."""

_POOL = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def level_of(priority: int) -> int:
    """The level (0-9) of an event's priority (0-255)."""
    return priority * LEVELS // 256


def lowest_priority_of(level: int) -> int:
    """The least priority (0-255) that belongs to a level (0-9)."""
    return -(-level * 256 // LEVELS)


def require_pool(pool: str, bindings: Sequence[str]) -> None:
    """Raises ValueError unless the pool can exist: a short lower-case name, and bindings for every pool
    except the default one, which gets what no other pool takes."""
    require_pool_name(pool)
    require_bindings(pool, bindings)


def require_pool_name(pool: str) -> str:
    """Returns the name. Raises ValueError for an invalid one."""
    if not _POOL.fullmatch(pool):
        raise ValueError(f"pool {pool!r} must match {_POOL.pattern}")
    return pool


def require_bindings(pool: str, bindings: Sequence[str]) -> None:
    """Raises ValueError for missing, unexpected or too many bindings."""
    if (pool == DEFAULT_POOL) == bool(bindings):
        expected = "no bindings" if pool == DEFAULT_POOL else "at least one binding"
        raise ValueError(f"pool {pool!r} must have {expected}")
    if len(bindings) > MAX_BINDINGS:
        raise ValueError(
            f"pool {pool!r} has {len(bindings)} bindings, the limit is {MAX_BINDINGS}: use patterns"
        )


@dataclass(frozen=True, slots=True)
class AnnouncedEvent:
    """The identity of one event, all that a router needs to load it. `version` is the version of the commit
    that raised the event: an older cached context must not be used."""

    event_id: str
    workflow_instance_id: str
    workflow_type: str
    version: int
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class Announcement:
    """ONE message: 1 to `MAX_EVENTS_PER_ANNOUNCEMENT` events of one type and one priority level. The caller
    groups; events of one commit are the natural group.

    `priority` is 0-255; of a received announcement only the level is known, and `priority` is the least one
    of that level. `correlation_id` and `traceparent` are for people and tracing; too long ones are left out.
    Raises ValueError for no event, too many, or a priority out of range.
    """

    event_type: str
    priority: int
    events: tuple[AnnouncedEvent, ...]
    correlation_id: str | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.events) <= MAX_EVENTS_PER_ANNOUNCEMENT:
            raise ValueError(f"1 to {MAX_EVENTS_PER_ANNOUNCEMENT} events, not {len(self.events)}")
        if not 0 <= self.priority <= 255:
            raise ValueError(f"priority {self.priority} is not in 0-255")

    @property
    def level(self) -> int:
        return level_of(self.priority)


class AnnounceOutcome(enum.Enum):
    """The outcome of one announcement."""

    CONFIRMED = "confirmed"
    """A queue has it. It may still be lost later: the outbox row stays."""

    RETURNED = "returned"
    """No queue took it (deleted, unbound). Due again at once."""

    UNCONFIRMED = "unconfirmed"
    """The broker is away or blocked, refused it, or did not answer in `CONFIRM_SECONDS`. It may
    have arrived or not. Due again at once."""


Token: TypeAlias = tuple[object, int]
"""Identifies a received message within its subscription. Opaque: keep it and pass it back."""


@dataclass(frozen=True, slots=True)
class Received:
    """An announcement that this process holds unacknowledged.

    `redelivered`: a consumer got it before and did not acknowledge it. False proves nothing: the sweeper's
    announcements are new messages.
    """

    announcement: Announcement
    redelivered: bool
    token: Token


@dataclass(frozen=True, slots=True)
class DeadLetterCopy:
    """The copy of a dead letter in the broker, for operators. The dead letter itself is a row."""

    event_id: str
    event_type: str
    workflow_instance_id: str
    workflow_type: str
    task_id: str
    attempts: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A commit changed an instance: its version and status (WorkflowStatus number) afterwards, and whether
    the instance became idle."""

    workflow_instance_id: str
    version: int
    status: int
    namespace: str = DEFAULT_NAMESPACE
    idle: bool = False
    outcome: bytes = b""
    """Of an instance that ended: its context, sealed (see `outcome_seal`). Empty: to be read."""


@dataclass(slots=True)
class BrokerCounters:
    """Counts since the process began, in messages (reconnects: in connections lost)."""

    announced: int = 0
    confirmed: int = 0
    returned: int = 0
    unconfirmed: int = 0
    received: int = 0
    acked: int = 0
    undecodable: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """A snapshot for health and logs. `target` and `last_error` hold no secret.

    `connected`: announcements can be sent. `consuming`: every subscription that was asked for has
    its consumer. `blocked`: the broker refuses to take more for now (a memory or disk alarm).
    """

    target: str
    connected: bool
    consuming: bool
    blocked: bool
    last_error: str | None
    counters: BrokerCounters = field(default_factory=BrokerCounters)

    @property
    def ready(self) -> bool:
        return self.connected and self.consuming and not self.blocked


class Subscription(Protocol):
    """Announcements of one pool, taken by this process.

    It outlives connections: after a loss it reconnects automatically, the pool gets its messages again, and
    older tokens are stale. Undecodable messages never reach the caller.
    """

    @property
    def buffered(self) -> int:
        """Messages that `take` would give without waiting."""
        ...

    async def take(self, limit: int) -> list[Received]:
        """Returns what is there, up to `limit` messages, the higher level first and in arrival order within a
        level; waits until there is at least one. Returns an empty list only after `stop`. No message is lost
        if the call is cancelled. One caller at a time."""
        ...

    def ack(self, tokens: Sequence[Token]) -> None:
        """Acknowledges these messages; does not wait. Stale and repeated tokens are ignored (a message with a
        stale token comes again)."""
        ...

    def release(self, tokens: Sequence[Token]) -> None:
        """Returns these to the pool, to come again as redelivered; does not wait. Stale and repeated tokens
        are ignored. For a graceful stop: released in a loop, a message comes straight back."""
        ...

    async def stop(self) -> None:
        """Takes no new messages and returns those that `take` has not given out; the others can still be
        acked or released. Idempotent."""
        ...

    async def close(self) -> None:
        """Stops, and gives back everything that is neither acked nor released. Idempotent."""
        ...


class Broker(Protocol):
    """Announces, consumes, notifies. Made by `waystation_core.broker.open_broker`. It connects and reconnects
    in the background, so only `wait_ready` waits for the broker."""

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        """Sends all, waits once for all confirms, and returns the outcomes in the same order.

        Never raises if the broker is away or refuses: the outcome is UNCONFIRMED, at once if that is known,
        else after at most `CONFIRM_SECONDS`. Check `status().connected` before sweeping, or a sweep becomes a
        tight loop. If the call is cancelled, the messages may have been sent.
        """
        ...

    def dead_letter(self, copies: Sequence[DeadLetterCopy]) -> None:
        """Publishes copies for operators, best effort: does not wait, never raises, and drops them if the
        broker is away."""
        ...

    def notify(self, batch: Sequence[Notice]) -> None:
        """Sends one message to every process that subscribed to notices, best effort: does not wait, never
        raises, and drops it if the broker is away."""
        ...

    def subscribe_notices(
        self,
        callback: Callable[[Sequence[Notice]], None],
        on_reconnected: Callable[[], None] | None = None,
    ) -> None:
        """Calls `callback` in the loop with every batch of notices from now on, in no promised order; some
        may be missed. Calls `on_reconnected` each time notices arrive again after a gap: read again what you
        wait for. At most one subscription per broker. Raises RuntimeError for a second one."""
        ...

    async def consume(
        self,
        *,
        pool: str = DEFAULT_POOL,
        bindings: Sequence[str] = (),
        prefetch: int,
        expires_seconds: float = POOL_EXPIRES_SECONDS,
    ) -> Subscription:
        """Joins a pool. It does not wait for the broker. At most one subscription per broker.

        A pool other than `default` takes the event types that its `bindings` (AMQP topic patterns: `*` one
        word, `#` any number) match away from the default pool. It does so without a consumer too, for
        `expires_seconds` at most; then its messages are lost without notice (the in-process broker ends it at
        once, and passes its messages on). While it exists it keeps the bindings of the process that created
        it, and all its processes must use the same `expires_seconds`: the caller ensures that.

        `prefetch` (at least 1) bounds the messages that this process holds unacknowledged, taken or not.
        Raises ValueError for an impossible pool, RuntimeError for a second subscription.
        """
        ...

    def on_messages_lost(self, callback: Callable[[str], None]) -> None:
        """Registers a callback that is called in the loop, with the reason as text, when earlier
        announcements may be lost: the broker restarted or lost its data, or the pool's queue was deleted or
        missing. Make everything announced and unsettled due at once.

        Register before `consume`; only processes that consume are notified, as they sweep. Several processes
        may be notified of one loss, and one may be notified without any loss. The in-process broker notifies
        once, at the first `consume`. A purge of the queue is not noticed: the due times of the outbox rows
        cover it.
        """
        ...

    async def depth(self, pool: str = DEFAULT_POOL) -> int | None:
        """Messages of the pool that wait and that no consumer holds; None if unknown (broker away, no such
        queue). Costs round trips: call it at most about once a second. RabbitMQ counts a question as a use: a
        pool that is asked about again and again never expires."""
        ...

    def status(self) -> BrokerStatus: ...

    async def wait_ready(self, seconds: float | None = None) -> bool:
        """Waits until `status().ready`, at most so long (None: without limit); returns whether it is."""
        ...

    async def close(self) -> None:
        """Stops the subscription, returns what is unacknowledged, and disconnects. Earlier acks and notices
        are flushed. A broker that does not answer delays it by a few seconds. Idempotent."""
        ...
