"""Faults of links: what the proxies can do, each held for a while."""

import asyncio
import random
from dataclasses import asdict
from typing import Any

from chaos.faults.world import Bite, Hold, Params, World
from localservers.behaviours import (
    Behaviour,
    CutAfter,
    Delay,
    DropReplies,
    Freeze,
    Pass,
    Refuse,
    Reset,
    Trickle,
)

_LOOKS, _LOOK_SECONDS = 150, 0.2
# The count that shows that a behaviour had an effect.
_SHOWN_BY = {
    "Delay": ("slowed_bytes",),
    "Trickle": ("slowed_bytes",),
    "Refuse": ("resets", "accepted"),
    "Reset": ("resets",),
    "Freeze": ("swallowed_bytes", "slowed_bytes", "silent_connections"),
    "DropReplies": ("dropped_replies",),
    "CutAfter": ("cuts",),
}
_KINDS: dict[str, type[Behaviour]] = {
    kind.__name__: kind for kind in (Delay, Trickle, Refuse, Reset, Freeze, DropReplies, CutAfter)
}


def describe(behaviour: Behaviour) -> dict[str, Any]:
    """As parameters of a schedule."""
    return {"kind": type(behaviour).__name__, **asdict(behaviour)}


def read(described: dict[str, Any]) -> Behaviour:
    """From parameters of a schedule."""
    fields = dict(described)
    return _KINDS[fields.pop("kind")](**fields)


def plan_behaviour(pick: random.Random, link: str) -> Behaviour:
    """One that suits the link: replies of a multiplexed connection are dropped more rarely."""
    # Where many calls share a connection each lost reply takes all of them with it.
    shared = not link.endswith(">postgres")
    dropped = DropReplies(count=pick.randint(1, 3)) if shared else DropReplies(0.1)
    # A handler tells the API little more than that it lives.
    quiet = link.endswith(">api")
    choices: list[Behaviour] = [
        Delay(pick.choice((0.02, 0.1, 0.2))),
        Trickle(pick.choice((64_000, 16_000))),
        Refuse(),
        Reset(),
        Freeze(),
        Freeze(hold=True),
        Freeze(requests=False),
        dropped,
        dropped,
        CutAfter(200 if quiet else pick.choice((500, 5_000, 50_000))),
    ]
    return pick.choice(choices)


async def misbehave(world: World, params: Params, hold: Hold) -> Bite:
    """One link behaves so for a while; longer, where nothing went over it that it could break."""
    proxy = world.system.links[params["link"]]
    described = params["behaviour"]
    before = asdict(proxy.counts)

    def seen() -> dict[str, int]:
        after = asdict(proxy.counts)
        return {
            name: after[name] - before[name]
            for name in _SHOWN_BY[described["kind"]]
            if after[name] != before[name]
        }

    await proxy.behave(read(described))
    try:
        await hold()
        for _ in range(_LOOKS):
            if seen():
                break
            await asyncio.sleep(_LOOK_SECONDS)
        evidence = seen()
    finally:
        await proxy.behave(Pass())
    return Bite(bool(evidence), evidence)


async def lose_replies(world: World, params: Params, hold: Hold) -> Bite:
    """Replies of Postgres get lost on the links of all servers at once."""
    proxies = [world.system.links[name] for name in params["links"]]
    before = sum(proxy.counts.dropped_replies for proxy in proxies)
    for proxy in proxies:
        await proxy.behave(DropReplies(params["chance"]))
    try:
        await hold()
    finally:
        for proxy in proxies:
            await proxy.behave(Pass())
    lost = sum(proxy.counts.dropped_replies for proxy in proxies) - before
    return Bite(lost > 0, {"dropped_replies": lost})
