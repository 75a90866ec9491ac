"""Servers of a running system that die at a failpoint each, while workflows pass everything there is."""

import asyncio
import contextlib
import itertools
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import pika

from localservers.processes import ChildProcess, ProcessFailed
from support.stories import attempts, read_story
from support.system import ROOT, Parts, wait_serving
from support.waiting import eventually
from waystation.v1.blocker_pb2 import BLOCKER_KIND_NO_LIVE_ENDPOINT
from waystation_worker import Client, Workflow

TOKENS = ["answered", "branch-0", "branch-1", "branch-2", "delayed", "joined", "last", "opened"]
"""What an instance of `services/tokens.py` has in its data at its end, sorted."""

MOODY = ROOT / "tests" / "e2e" / "services" / "moody.py"

OPEN_AT_ONCE = 4
DEATHS_AT_ONCE = 5
MUTE_EVERY = 2.5
DIES_WITHIN = 90.0
# Two deaths may hit one event: the router that had it, and the one that announced it again. The next announcement
# comes two minutes after the second.
ENDS_WITHIN = 150.0

Act = Callable[["Scene", ChildProcess, str], Awaitable[None]]
"""Makes a server at an address go where it is to die."""


@dataclass
class Death:
    """How it went with the server that was to die at a point."""

    point: str
    began: float
    at: float = 0.0
    problem: str = ""
    """Why it did not die there; empty when it did."""


@dataclass
class Life:
    """One workflow, from its start to its end."""

    id: str
    began: float
    ended: float = 0.0
    problem: str = "it has not ended"
    """What is wrong with what it left; empty when nothing is."""


@dataclass
class Scene:
    """A system under load in which servers die. `load` keeps workflows going; `dies_at` has one
    server die."""

    parts: Parts
    amqp_url: str
    deaths: dict[str, Death] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(DEATHS_AT_ONCE)
        self._numbers = itertools.count(1)
        self._mute_lives: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Workflows all the time; at the end those that are open may end."""
        stopping = asyncio.Event()
        async with self.parts.client() as client:
            livers = [
                asyncio.ensure_future(self._live(client, stopping)) for _ in range(OPEN_AT_ONCE)
            ]
            try:
                yield
                stopping.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ENDS_WITHIN):
                        await asyncio.gather(*livers, *self._mute_lives)
            finally:
                for live in (*livers, *self._mute_lives):
                    live.cancel()
                await asyncio.gather(*livers, *self._mute_lives, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def never_announced(self) -> AsyncIterator[None]:
        """Now and then a workflow whose first event is never announced: it waits in the outbox until
        somebody looks there; for a minute, where that one died. `load` waits for them at its end."""
        settings = {
            "WAYSTATION_FAILPOINTS": "announce.before=sleep(600);catch_ups_due.before=sleep(600)"
        }
        mute, address = await asyncio.to_thread(self.parts.spawn_api, **settings)
        await asyncio.to_thread(wait_serving, mute, address)

        async def start() -> None:
            async with Client(address) as client:
                for number in itertools.count(1):
                    started = await client.start("short", workflow_instance_id=f"mute-{number}")
                    life = self.lives_with(started.id, {"tokens": ["short"]})
                    self._mute_lives.append(asyncio.ensure_future(life))
                    await asyncio.sleep(MUTE_EVERY)

        starting = asyncio.ensure_future(start())
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    async def _live(self, client: Client, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            life = Life(f"life-{next(self._numbers)}", time.monotonic())
            self.lives.append(life)
            await client.start("tokens", workflow_instance_id=life.id)
            try:
                life.problem = await self.lead_to_its_end(client, life.id, TOKENS)
            except AssertionError as wrong:
                life.problem = str(wrong)
            life.ended = time.monotonic()

    async def lead_to_its_end(
        self, client: Client, workflow_instance_id: str, tokens: list[str]
    ) -> str:
        """Answers what it asks; says what is wrong with what it left."""
        asked = await _until(client, workflow_instance_id, "WAITING_FOR_INPUT")
        if asked.outcome == "WAITING_FOR_INPUT":
            await client.provide_input(
                workflow_instance_id, {"go": True}, request_id=f"go-{workflow_instance_id}"
            )
        done = await _until(client, workflow_instance_id, "DONE")
        story = await read_story(client, workflow_instance_id)
        if done.status != "COMPLETED" or sorted(done.data["tokens"]) != sorted(tokens):
            return f"{done.status} with {done.data}"
        for entry in story.entries:
            if entry.HasField("error") and entry.error.reason not in (
                "CALL_CUT",
                "RuntimeError",
                "PENDING_TIMED_OUT",
            ):
                return f"{entry.processed_by} failed: {entry.error}"
        tries = [e.attempt for e in attempts(story, "branch") if e.error.message]
        return "" if tries.count(1) >= 1 else f"attempts of the branch that fails: {tries}"

    async def lives_with(self, workflow_instance_id: str, data: object) -> None:
        """One workflow more that has started, and what is to be in its data at its end."""
        life = Life(workflow_instance_id, time.monotonic())
        self.lives.append(life)
        async with self.parts.client() as client:
            done = await _until(client, workflow_instance_id, "DONE")
            await read_story(client, workflow_instance_id)
        life.problem = "" if done.data == data else f"{done.status} with {done.data}"
        life.ended = time.monotonic()

    # --- deaths ----------------------------------------------------------------------------

    async def dies_at(
        self,
        point: str,
        act: Act,
        *options: str,
        also: str = "",
        nth: int = 1,
        api: bool = False,
        **settings: str,
    ) -> Death:
        """Starts a server, an API or a router, that dies when it reaches the point, does with it what
        makes it go there, and waits for its death."""
        async with self._places:
            death = Death(point, time.monotonic())
            self.deaths[f"api: {point}" if api else point] = death
            settings["WAYSTATION_FAILPOINTS"] = f"{point}=kill@{nth};*=note;{also}"
            spawn = self.parts.spawn_api if api else self.parts.spawn_router
            process, address = await asyncio.to_thread(spawn, *options, **settings)
            acting = asyncio.ensure_future(act(self, process, address))
            try:
                await asyncio.to_thread(process.wait, DIES_WITHIN)
                death.problem = _why(process, point)
            except ProcessFailed:
                death.problem = "it did not come there"
                process.kill()
            death.at = time.monotonic()
        # What it did may have met the death; what it started is told by its lives.
        await asyncio.gather(acting, return_exceptions=True)
        return death

    def noted(self) -> set[str]:
        """Points that some server came to, whatever happened there."""
        return {
            point
            for process in self.parts.engine
            for point in re.findall(r"failpoint .*point=(\S+)", process.output())
        }

    def touched(self, death: Death) -> list[Life]:
        """Workflows that were open while that server was there."""
        return [
            life
            for life in self.lives
            if life.began < death.at and (not life.ended or life.ended > death.began)
        ]


def _why(process: ChildProcess, point: str) -> str:
    said = re.search(rf"failpoint .*point={re.escape(point)}", process.output())
    if process.returncode == -signal.SIGKILL and said is not None:
        return ""
    tail = "\n".join(process.output().splitlines()[-15:])
    return f"it ended with {process.returncode}:\n{tail}"


async def _until(client: Client, workflow_instance_id: str, outcome: str) -> Workflow:
    async def look() -> Workflow:
        return await client.wait(workflow_instance_id, timeout=10)

    try:
        return await eventually(
            look,
            until=lambda found: found.outcome == outcome or found.ended,
            timeout=ENDS_WITHIN,
            what=f"{workflow_instance_id} to be {outcome}",
        )
    except AssertionError as stuck:
        raise AssertionError(
            f"{stuck}\n{(await client.explain(workflow_instance_id)).blockers}"
        ) from None


# --- what makes servers reach a point -----------------------------------------------------------


async def nothing(scene: Scene, process: ChildProcess, address: str) -> None:
    """The load leads there."""


async def told_to_stop(scene: Scene, process: ChildProcess, address: str) -> None:
    """SIGTERM once it serves."""
    await asyncio.to_thread(wait_serving, process, address)
    process.send(signal.SIGTERM)


async def routers_die(scene: Scene, process: ChildProcess, address: str) -> None:
    """Others die beside it, as routers do."""
    await asyncio.to_thread(wait_serving, process, address)
    while process.running:
        other, other_address = await asyncio.to_thread(scene.parts.spawn_router)
        await asyncio.to_thread(wait_serving, other, other_address)
        await asyncio.to_thread(other.kill)


async def queue_lost(scene: Scene, process: ChildProcess, address: str) -> None:
    """The queue is deleted now and then, and what was in it."""
    while process.running:
        await asyncio.to_thread(_delete_queue, scene.amqp_url)
        await asyncio.sleep(3)  # an event that nobody can set


def _delete_queue(amqp_url: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    connection.channel().queue_delete("waystation.router.default")
    connection.close()


async def service_away(scene: Scene, process: ChildProcess, address: str) -> None:
    """Deliveries are parked for want of an endpoint, and then it is there."""
    await asyncio.to_thread(wait_serving, process, address)
    service = {"SERVICE": "away", "TASKS": "plain", "WITNESS": str(scene.parts.folder / "witness")}
    (there,) = await asyncio.to_thread(
        lambda: scene.parts.start_handlers(MOODY, environment=service)
    )
    scene.parts.handlers.remove(there)
    await asyncio.to_thread(there.kill)
    ids = [f"away-{number}" for number in range(5)]
    async with scene.parts.client() as client:
        for workflow_instance_id in ids:
            await client.start("plain", workflow_instance_id=workflow_instance_id)
            await eventually(
                lambda id=workflow_instance_id: _is_parked(client, id),
                timeout=DIES_WITHIN / 2,
                what="it to be parked",
            )
    await asyncio.to_thread(lambda: scene.parts.start_handlers(MOODY, environment=service))
    await asyncio.gather(*(scene.lives_with(each, {"done": True}) for each in ids))


async def _is_parked(client: Client, workflow_instance_id: str) -> bool:
    blockers = (await client.explain(workflow_instance_id)).blockers
    return any(blocker.kind == BLOCKER_KIND_NO_LIVE_ENDPOINT for blocker in blockers)


async def unreachable(call: Awaitable[object]) -> bool:
    """Whether the call failed because nobody was there any more."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return True
    return False
