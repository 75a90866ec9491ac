"""Why an event or a delivery waits although its tasks could be called: no router takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation_api.explanation.blocker import NO_ROUTER, Blocker
from waystation_domain.model import Delivery, Event
from waystation_domain.pools import Pool, caller_of, queue_of

IS_ALIVE = (
    "Its pool has a live router, which calls the task when it has free capacity. `waystation status` "
    "shows the routers and their calls."
)


@dataclass(frozen=True, slots=True)
class NoRouter:
    """A pool without a live router, and its description."""

    pool: str
    since: datetime
    why: str
    """The end of a sentence that begins with what waits."""
    remedy: str
    due_at: datetime | None
    """When it continues automatically; None: it does not."""


def none_is_alive(pools: Sequence[Pool]) -> bool:
    """Whether nothing continues automatically: no call ends, no timer becomes due."""
    return not any(pool.routers for pool in pools)


def of_event(event_type: str, since: datetime, pools: Sequence[Pool]) -> NoRouter | None:
    """What an announced event of this type waits for; None: there is a router."""
    return _missing(queue_of(event_type, pools), since, pools)


def of_delivery(event_type: str, since: datetime, pools: Sequence[Pool]) -> NoRouter | None:
    """The same for a stored delivery."""
    return _missing(caller_of(event_type, pools), since, pools)


def blocker(event: Event, missing: NoRouter, delivery: Delivery | None = None) -> Blocker:
    """The event, or this delivery of it, waits for such a router."""
    for_task = f" for {delivery.task_id}" if delivery is not None else ""
    return Blocker(
        kind=NO_ROUTER,
        since=missing.since,
        message=f"`{event.event_type}`{for_task} waits: {missing.why}",
        remedy=missing.remedy,
        event_id=event.event_id,
        event_type=event.event_type,
        task_id=delivery.task_id if delivery is not None else "",
        attempts=delivery.attempts if delivery is not None else 0,
        due_at=missing.due_at,
        last_error=delivery.last_error if delivery is not None else None,
        pool=missing.pool,
    )


def _missing(pool: Pool, since: datetime, pools: Sequence[Pool]) -> NoRouter | None:
    if pool.routers:
        return None
    if pool.seen_at is None or pool.lapses_at is None:
        own = (
            "no router is running"
            if none_is_alive(pools)
            else ("no router of the pool `default` is running, and no other pool takes the event")
        )
        return NoRouter(
            pool.name,
            since,
            own,
            "Start one: `waystation-router`. `waystation status` shows the routers.",
            None,
        )
    bindings = " ".join(f"--bind '{binding}'" for binding in pool.bindings)
    seen, until = (
        moment.isoformat(timespec="seconds") for moment in (pool.seen_at, pool.lapses_at)
    )
    default = next(each for each in pools if not each.bindings)
    after = "takes the event" if default.routers else "takes the event, but it has no router either"
    return NoRouter(
        pool.name,
        max(since, pool.seen_at),
        f"its type belongs to pool {pool.name}, which has had no router since {seen}",
        f"Start one: `waystation-router --pool {pool.name} {bindings}`. Or wait: the "
        f"pool's queue expires by {until}, and then the pool `default` {after}.",
        pool.lapses_at if default.routers else None,
    )
