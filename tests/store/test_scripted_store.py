"""The scripted store is a test's tool, so what it says must be true: what was executed, and what was not."""

import asyncio
import contextlib

import pytest
from store.instances import Engine, a_start
from support.scripted_store import Fault, Script, broken, held, reply_lost, unavailable

from waystation_core.ports.store import EngineStore
from waystation_domain.errors import StoreUnavailable


async def _backlog(engine: Engine) -> int:
    return await engine.store.backlog()


async def test_faults_come_before_or_after_what_a_call_does(engine: Engine) -> None:
    script = Script()
    store: EngineStore = script.wrap(engine.store)
    script.on("start", unavailable(), calls=1)
    script.on("start", reply_lost(), calls=2)
    script.on("start", broken(RuntimeError("ours"), after=True), calls=3)
    for error, stored in ((StoreUnavailable, 0), (StoreUnavailable, 1), (RuntimeError, 2)):
        with pytest.raises(error):
            await store.start([a_start()])
        assert await _backlog(engine) == stored
    assert [one.created for one in await store.start([a_start()])] == [True]
    assert script.bites == [
        ("start", 1, "unavailable"),
        ("start", 2, "reply lost"),
        ("start", 3, "RuntimeError"),
    ]


async def test_a_call_is_held_until_the_test_lets_it_go(engine: Engine) -> None:
    script = Script()
    store: EngineStore = script.wrap(engine.store)
    gate = script.next("start", held(after=True))
    call = asyncio.ensure_future(store.start([a_start()]))
    async with asyncio.timeout(10):
        await gate.reached.wait()
        assert await _backlog(engine) == 1
        assert not call.done()
        script.heal()
        assert (await call)[0].created


@pytest.mark.parametrize(
    ("place", "fault", "kept"),
    [
        ("locked", unavailable(), False),
        ("locked", reply_lost(), False),
        ("locked.remember", unavailable(), False),
        ("locked.remember", reply_lost(), False),
        ("locked.exit", unavailable(), False),
        ("locked.exit", reply_lost(), True),
        ("nothing", unavailable(), True),
    ],
)
async def test_a_block_can_fail_at_each_of_its_steps(
    engine: Engine, place: str, fault: Fault, kept: bool
) -> None:
    script = Script()
    store: EngineStore = script.wrap(engine.store)
    (started,) = await store.start([a_start()])
    key = started.instance.key
    script.on(place, fault)
    raised = False
    try:
        async with store.locked(key=key) as locked:
            await locked.remember("rpc", "request", b"digest", {"answer": 1})
    except StoreUnavailable:
        raised = True
    assert raised == (place != "nothing")
    script.heal()
    async with asyncio.timeout(5), store.locked(key=key) as locked:
        assert (await locked.repeated("rpc", "request", b"digest") is not None) == kept


async def test_chance_follows_its_seed(engine: Engine) -> None:
    async def bitten(seed: int) -> list[tuple[str, int, str]]:
        script = Script()
        store: EngineStore = script.wrap(engine.store)
        script.on("*", unavailable(), chance=0.3, seed=seed)
        for _ in range(20):
            with contextlib.suppress(StoreUnavailable):
                await store.backlog()
        return script.bites

    first = await bitten(7)
    assert first == await bitten(7)
    assert 0 < len(first) < 20
    assert first != await bitten(8)
