"""Two namespaces side by side on one real database: the same ids, types, tasks and services. Each sees exactly its
own."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from support.databases import as_app
from support.in_process import InProcess, in_process
from support.waiting import eventually

from waystation_worker import Client, HandlerService, TaskContext
from waystation_worker.errors import (
    AlreadyExists,
    LimitExceeded,
    NotFound,
    WaystationError,
    WorkflowNotFound,
    WrongState,
)
from waystation_worker.namespaces import NamespaceLimits

BOTH = ("acme", "umbrella")
IDS = [f"order-{number}" for number in range(8)]


def _service(namespace: str) -> HandlerService:
    """The same service in both, which writes where it was called."""
    service = HandlerService("orders")

    @service.task(events=["workflow.started"], workflow_types=["order"], task_id="price")
    async def price(ctx: TaskContext) -> None:
        assert ctx.event.payload["of"] == namespace, "an event of another namespace"
        ctx.data["priced_by"] = namespace
        if ctx.event.payload["fails"]:
            raise ValueError("no price")
        ctx.emit("priced")

    @service.task(events=["priced"], workflow_types=["order"], task_id="ship")
    async def ship(ctx: TaskContext) -> None:
        if ctx.data["waits"]:
            ctx.wait_for_input("Ship it?")
        else:
            ctx.complete({"shipped_by": namespace})

    @service.task(events=["workflow.input_received"], workflow_types=["order"], task_id="answer")
    async def answer(ctx: TaskContext) -> None:
        ctx.complete({"shipped_by": namespace})

    return service


@contextlib.asynccontextmanager
async def _tenants(system: InProcess) -> AsyncIterator[dict[str, Client]]:
    """A client in each namespace, and its handlers."""
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for name in BOTH:
            await system.client.namespaces.create(name)
            client = Client(system.api.address, namespace=name)
            clients[name] = await stack.enter_async_context(client)
            service = _service(name)
            running = service.serving(address=system.api.address, namespace=name, port=0)
            await (await stack.enter_async_context(running)).wait_registered()
        yield clients


async def _program(
    client: Client, namespace: str, chance: random.Random
) -> dict[str, tuple[str, str | None]]:
    """A random program; the status of each instance at its end, with who shipped it."""
    expected: dict[str, tuple[str, str | None]] = {}
    for _ in range(14):
        name = chance.choice(IDS)
        action = chance.choice(["start", "start", "answer", "cancel", "read"])
        if action == "start" and name not in expected:
            kind = chance.choice(["ends", "waits", "fails"])
            given = {"of": namespace, "waits": kind == "waits", "fails": kind == "fails"}
            await client.start("order", given, workflow_instance_id=name)
            if kind == "fails":
                # Its only attempt that a test waits for: others come later.
                expected[name] = "ACTIVE", None
            else:
                found = await client.wait(name, timeout=20)
                assert found.data["priced_by"] == namespace
                expected[name] = found.status, namespace if kind == "ends" else None
        elif action == "answer":
            if expected.get(name, ("",))[0] == "WAITING_FOR_INPUT":
                await client.provide_input(name, {"yes": True})
                assert (await client.wait(name, timeout=20)).output == {"shipped_by": namespace}
                expected[name] = "COMPLETED", namespace
            else:
                with pytest.raises((WorkflowNotFound, WrongState)):
                    await client.provide_input(name, {"yes": True})
        elif action == "cancel":
            try:
                await client.cancel(name)
                assert name in expected
                expected[name] = "CANCELLED", None
            except (WorkflowNotFound, WrongState):
                assert expected.get(name, ("COMPLETED",))[0] in ("COMPLETED", "CANCELLED")
        else:
            try:
                assert (await client.get(name)).data["of"] == namespace
                assert name in expected
            except WorkflowNotFound:
                assert name not in expected
    return expected


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_namespace_sees_exactly_its_own(database_url: str, seed: int) -> None:
    async with (
        in_process(as_app(database_url)) as system,
        _tenants(system) as clients,
    ):
        found = await asyncio.gather(
            *(
                _program(client, name, random.Random(f"{seed} {name}"))
                for name, client in clients.items()
            )
        )
        for (name, client), expected in zip(clients.items(), found, strict=True):
            shown = {one.id: one async for one in client.list()}
            assert {key: one.status for key, one in shown.items()} == {
                key: status for key, (status, _) in expected.items()
            }
            for key in expected:
                history = [entry async for entry in client.history(key)]
                assert history, "histories are their own"
                if not (await client.get(key)).data["fails"]:
                    # Each task was called where it belongs at once.
                    assert {entry.attempt for entry in history} <= {0, 1}
            status = await client.system.status()
            assert sum(status.workflows_by_status.values()) == len(expected)
            assert status.handlers == 1
            [endpoint] = [one async for one in client.handlers.list()]
            assert endpoint.service_name == "orders"
            assert (await client.namespaces.get(name)).usage is not None
        # `default` has nothing of all that.
        assert [one async for one in system.client.list()] == []
        assert [one async for one in system.client.handlers.list()] == []


async def test_a_wait_and_a_watch_hear_nothing_of_the_other_namespace(database_url: str) -> None:
    async with in_process(as_app(database_url)) as system, _tenants(system) as clients:
        acme, umbrella = clients.values()
        given = {"of": "acme", "waits": True, "fails": False}
        await acme.start("order", given, workflow_instance_id="one")
        waits = await acme.wait("one", timeout=20)
        assert waits.status == "WAITING_FOR_INPUT"
        given = {"of": "umbrella", "waits": False, "fails": False}
        await umbrella.start("order", given, workflow_instance_id="one")
        assert (await umbrella.wait("one", timeout=20)).output == {"shipped_by": "umbrella"}
        # The end of the other one ends neither; its entries are not in this stream.
        still = await acme.get("one")
        assert (still.status, still.version) == ("WAITING_FOR_INPUT", waits.version)
        seen = []
        async for entry in acme.watch("one"):
            seen.append(entry)
            if len(seen) == waits.version:
                break
        assert [entry.sequence for entry in seen] == list(range(1, waits.version + 1))


async def test_namespaces_are_made_limited_and_deleted(database_url: str) -> None:
    async with in_process(as_app(database_url)) as system:
        names = system.client.namespaces
        made = await names.create("acme", description="A shop", limits=NamespaceLimits(2))
        assert (made.name, made.limits) == ("acme", NamespaceLimits(2))
        with pytest.raises(AlreadyExists):
            await names.create("acme")
        assert [one.name async for one in names.list()] == ["acme", "default"]
        async with Client(system.api.address, namespace="acme", retry_for=0) as client:
            for _ in range(2):
                await client.start("order", {})
            with pytest.raises(LimitExceeded) as refused:
                await client.start("order", {})
            assert refused.value.reason == "NAMESPACE_LIMIT_REACHED"
            assert refused.value.retryable
            await names.update("acme", description="", limits=NamespaceLimits(None, 1.0))
            results = [one async for one in client.start_many(_several(20))]
            assert {one.error.reason for one in results if one.error} == {"RATE_LIMITED"}
            assert 1 <= sum(one.error is None for one in results) <= 3
            with pytest.raises(WrongState):
                await names.delete("acme")
        # Nobody else is concerned.
        await system.client.start("order", {})
        await names.create("empty")
        await names.delete("empty")
        with pytest.raises(NotFound):
            await names.get("empty")
        async with Client(system.api.address, namespace="empty", retry_for=0) as client:
            with pytest.raises(WaystationError) as gone:
                await client.start("order", {})
            assert gone.value.reason == "NAMESPACE_NOT_FOUND"


def _several(number: int) -> list[object]:
    from waystation_worker import NewWorkflow

    return [NewWorkflow(workflow_type="order", data={}) for _ in range(number)]


async def test_a_namespace_has_so_many_calls_at_once_and_no_more(database_url: str) -> None:
    async with in_process(as_app(database_url)) as system:
        await system.client.namespaces.create("acme", limits=NamespaceLimits(max_in_flight=2))
        service = HandlerService("slow")
        running, most, go_on = 0, 0, asyncio.Event()

        async def held(ctx: TaskContext) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go_on.wait()
            running -= 1
            ctx.complete({})

        for kind in ("a", "b"):
            service.task(events=["workflow.started"], workflow_types=[kind], task_id=kind)(held)
        async with (
            Client(system.api.address, namespace="acme") as client,
            service.serving(address=system.api.address, namespace="acme", port=0) as serving,
        ):
            await serving.wait_registered()
            started = [await client.start(kind, {}) for kind in "ababab"]

            async def calls() -> int:
                return running

            assert await eventually(calls, until=lambda number: number == 2, what="two calls") == 2
            # Whatever was started has been announced, and waits.
            await eventually(lambda: _has_work(system), what="the router to hold the others")
            go_on.set()
            for one in started:
                assert (await client.wait(one.id, timeout=20)).status == "COMPLETED"
            assert most == 2


async def _has_work(system: InProcess) -> bool:
    return len(system.router._calls.places.waiting()) == 4
