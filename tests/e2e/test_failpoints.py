"""Death at every named point: whichever one a server dies at, every workflow ends and each of its tasks
has taken effect once."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import pytest
from support.databases import migrated
from support.deaths import (
    Act,
    Scene,
    nothing,
    queue_lost,
    routers_die,
    service_away,
    told_to_stop,
)
from support.system import ROOT, Parts
from support.visits import Visit

from localservers.postgres import PostgresServer
from localservers.rabbitmq import RabbitMQServer
from waystation_core.failpoints import POINTS
from waystation_core.failpoints.table import REGISTRY_STORE

pytestmark = pytest.mark.timeout(600)

SERVICE = ROOT / "tests" / "e2e" / "services" / "tokens.py"

OF_AN_API = {
    "start",
    "begin_request",
    "end_request",
    "reply",
    *REGISTRY_STORE,
}
"""What only an API does, or more than a router."""
OF_BOTH = {"locked", "locked.write", "locked.exit", "announce"}
READING = {
    "probe",
    "leased",
    "timers_of_instances",
    "backlog",
    "handlers",
    "changes",
    "snapshot",
    "instances_to_retire",
    "count_to_retire",
    "instances_to_catch_up",
}
"""Nothing is different after a death there than after one before or behind it."""

POOL = ("--pool", "brief", "--bind", "brief.#")
LATER = {"heartbeat.before": 3, "heartbeat.after": 3}
"""Not the first one, of the start."""

SELDOM: Sequence[Mapping[str, Act]] = (
    {
        "note_lost.before": queue_lost,
        "note_lost.after": queue_lost,
        "make_lost_due.before": nothing,
        "make_lost_due.after": queue_lost,
        "end_lapsed_pools.after": nothing,
        "join_pool.after": nothing,
    },
    {"wake_parked.after": service_away, "break_leases.after": routers_die},
    {"claim_starving_events.after": nothing},
)
"""Points of what one router does for all, and what leads there: these are with few others."""

RESERVED = {
    "end_lapsed_pools.before": "sleep(600)",
    "claim_starving_events.before": "sleep(3)",
    "make_lost_due.before": "sleep(3)",
    "wake_parked.before": "sleep(3)",
    "break_leases.before": "sleep(3)",
    "catch_ups_due.before": "sleep(600)",
    "*": "note",
}
"""What the two servers that stay leave to the others."""


def plan(reserved: Mapping[str, str]) -> str:
    return ";".join(f"{point}={action}" for point, action in reserved.items())


def name_of(point: str) -> str:
    return point.rpartition(".")[0]


DEATHS = [
    *(f"api: {point}" for point in POINTS if name_of(point) in (OF_AN_API | OF_BOTH) - READING),
    *(point for point in POINTS if name_of(point) not in OF_AN_API | READING),
]

CATCHING_UP = ("api: catch_ups_due.after", "api: caught_up.before", "api: caught_up.after")
"""One after the other and beside no other API: whoever looks claims everybody's, and one that dies keeps
them for a while."""


async def everybody_dies(scene: Scene) -> None:
    """A server for each point, several at a time."""
    apart = {*CATCHING_UP, *(point for some in SELDOM for point in some)}
    # These first: what was claimed by one that died then waits for a minute, while the others die.
    async with scene.never_announced():
        await asyncio.gather(_late_tasks(scene), _seldom(scene))
    await asyncio.gather(*(dies(scene, death) for death in DEATHS if death not in apart))


async def _late_tasks(scene: Scene) -> None:
    for death in CATCHING_UP:
        await dies(scene, death)


async def _seldom(scene: Scene) -> None:
    for some in SELDOM:
        await the_seldom_ones_die(scene, some)


async def dies(scene: Scene, death: str) -> None:
    point = death.removeprefix("api: ")
    name = name_of(point)
    if point != death:
        visit = Visit(point)
        died = await scene.dies_at(point, visit.act, api=True)
        died.problem += await visit.again(scene)
    elif name == "leave":
        await scene.dies_at(point, told_to_stop)
    elif name == "join_pool":
        await scene.dies_at(point, nothing, *POOL)
    elif name in ("make_due", "claim_due_events"):
        await scene.dies_at(point, nothing, also="announce.before=error%0.5")
    elif name in ("give_back", "compared"):
        # Leases whose claims' answers were lost, and some that last: else there is seldom one to be looked
        # at. What else is lost shows how it goes on.
        also = "claim_deliveries.after=error%0.5;commit.before=error%0.3"
        await scene.dies_at(point, nothing, also=also)
    else:
        await scene.dies_at(point, nothing, nth=LATER.get(point, 1))


async def the_seldom_ones_die(scene: Scene, some: Mapping[str, Act]) -> None:
    deaths = []
    for point, act in some.items():
        name = name_of(point)
        also = plan({key: what for key, what in RESERVED.items() if not key.startswith(name)})
        options = POOL if name == "join_pool" else ()
        deaths.append(
            scene.dies_at(
                point, act, *options, also=also, WAYSTATION_ROUTER_POOL_EXPIRES_SECONDS="1"
            )
        )
    await asyncio.gather(*deaths)


@pytest.fixture(scope="module")
def scene(
    postgres: PostgresServer, rabbitmq: RabbitMQServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """All of it has happened."""
    database_url, amqp_url = postgres.fresh_database(migrated), rabbitmq.fresh_vhost()
    with Parts(
        tmp_path_factory.mktemp("failpoints"),
        database_url=database_url,
        amqp_url=amqp_url,
        routers=1,
        environment={
            "WAYSTATION_ROUTER_LEASE_SECONDS": "2",
            "WAYSTATION_TEST_PROFILE": "true",
            "WAYSTATION_FAILPOINTS": plan(RESERVED),
        },
    ) as parts:
        parts.start_handlers(SERVICE)
        scene = Scene(parts, amqp_url)

        async def happen() -> None:
            async with scene.load():
                await everybody_dies(scene)

        asyncio.run(happen())
        yield scene
    rabbitmq.drop_vhost(amqp_url)
    postgres.drop_database(database_url)


@pytest.mark.parametrize("death", DEATHS)
def test_after_a_death_there_all_that_was_open_ends_with_each_effect_once(
    scene: Scene, death: str
) -> None:
    died = scene.deaths[death]
    assert died.problem == ""
    lives = scene.touched(died)
    assert lives
    assert {life.id: life.problem for life in lives if life.problem} == {}


def test_servers_come_to_every_point_there_is(scene: Scene) -> None:
    assert set(POINTS) - scene.noted() == set()
