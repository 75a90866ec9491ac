"""Cases of much to be read at once: one large instance, a great many endpoints, a great many watchers."""

import asyncio
import json
import subprocess
import time
from collections import Counter

import grpc

from scale import handlers
from scale.clients import Api, all_pages, api, bystander, timed
from scale.report import Row
from scale.system import BINARIES, System
from waystation.v1 import (
    handler_registry_service_pb2,
    system_service_pb2,
    workflow_service_pb2,
)

_pb = workflow_service_pb2
_BIG = "first-big"
WATCHERS_PER_CONNECTION = 250


async def big(system: System, number: int, normal: float) -> list[Row]:
    """One instance with so many events, each of which left two kilobytes in its history."""
    async with api(system.address) as one:
        await one.start(handlers.BIG, _BIG)
        began = time.monotonic()
        # Each waits for the lock of the one instance, on a connection of the server's.
        gate = asyncio.Semaphore(4)

        async def publish(at: int) -> None:
            request = _pb.PublishEventRequest(workflow_instance_id=_BIG, request_id=f"big-{at}")
            request.event.event_type = handlers.NOTED
            request.event.payload.update({"n": f"{at:06d}"})
            async with gate:
                while True:
                    try:
                        await one.workflows.PublishEvent(request, timeout=60)
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                        await asyncio.sleep(0.5)
                    else:
                        return

        # One is `workflow.started`.
        await asyncio.gather(*(publish(at) for at in range(number - 1)))
        unsettled = "SELECT unsettled FROM workflow_instances WHERE workflow_instance_id = %s"
        while True:
            if system.rows(unsettled, (_BIG,)) == [(0,)]:
                break
            await asyncio.sleep(0.2)
        made = time.monotonic() - began
        pages, all_events, longest = await all_pages(
            lambda token: one.workflows.ListEvents(
                _pb.ListEventsRequest(workflow_instance_id=_BIG, page_size=1000, page_token=token),
                timeout=30,
            )
        )
        events = sum(len(page.events) for page in pages)
        _, explained = await timed(
            one.workflows.ExplainWorkflow(
                _pb.ExplainWorkflowRequest(workflow_instance_id=_BIG), timeout=30
            )
        )
        listed, read, slowest = await all_pages(
            lambda token: one.workflows.ListHistory(
                _pb.ListHistoryRequest(workflow_instance_id=_BIG, page_size=1000, page_token=token),
                timeout=30,
            )
        )
        history = [entry for page in listed for entry in page.entries]
        size = sum(page.ByteSize() for page in listed)
        watched, entries = await _watch_to(one, _BIG, history[-1].sequence)
    shown = await asyncio.to_thread(_show, system)
    return [
        Row("big", "events that are not listed", number - events, "<=", 0, ""),
        Row("big", f"making {number:,} events", made, "<=", max(60.0, number / 50)),
        Row("big", "a page of 1,000 events, the slowest", longest, "<=", 1.0),
        Row("big", "all pages of events", all_events, "<=", 10.0),
        Row("big", "explain", explained, "<=", 2.0),
        Row("big", "a page of its history, the slowest", slowest, "<=", 1.0),
        Row("big", f"its history of {size / 1e6:.1f} MB, all pages", read, "<=", 5.0),
        Row("big", "entries that are not listed", history[-1].sequence - len(history), "<=", 0, ""),
        Row("big", f"watching {entries:,} entries from the first", watched, "<=", 15.0),
        Row("big", "waystation show", shown, "<=", 15.0),
    ]


async def _watch_to(one: Api, workflow_instance_id: str, version: int) -> tuple[float, int]:
    """How long a watch takes to the entry with this number, and how many came."""
    began = time.monotonic()
    stream = one.workflows.WatchWorkflow(
        _pb.WatchWorkflowRequest(workflow_instance_id=workflow_instance_id), timeout=120
    )
    entries = 0
    async for response in stream:
        if response.HasField("history_entry"):
            entries += 1
            if response.history_entry.sequence >= version:
                break
    stream.cancel()
    return time.monotonic() - began, entries


def _show(system: System) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [BINARIES / "waystation", "show", _BIG, "--address", system.address, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0 or not json.loads(done.stdout):
        raise RuntimeError(f"waystation show: {done.stderr[-2000:]}")
    return time.monotonic() - began


async def endpoints(system: System, number: int, normal: float) -> list[Row]:
    """So many endpoints of one service are registered, and nobody listens there."""
    async with api(system.address) as one:
        request = handler_registry_service_pb2.RegisterHandlerRequest(
            service_name="scale-many", service_version="1", host="127.0.0.1", port=20_000, kind=2
        )
        request.tasks.add(
            task_id="many", event_types=["many.raised"], workflow_types=["scale-many"]
        )
        await one.handlers.RegisterHandler(request, timeout=30)
        already = system.rows("SELECT count(*) FROM handlers")[0][0]
        system.rows(
            "INSERT INTO handlers (handler_id, namespace, service_name, service_version, host, port, "
            "kind, lease_seconds, lease_until, tasks) SELECT gen_random_uuid(), namespace, "
            "service_name, service_version, '127.0.0.' || 2 + n / 250, 20000 + n, kind, lease_seconds, "
            "lease_until, tasks FROM handlers, generate_series(1, %s) n "
            "WHERE service_name = 'scale-many'",
            (number - already,),
        )
        system.rows("UPDATE registry SET changes = changes + 1")
        took = [await one.run(handlers.NOW) for _ in range(5)]
        pages, _, longest = await all_pages(
            lambda token: one.handlers.ListHandlers(
                handler_registry_service_pb2.ListHandlersRequest(page_size=1000, page_token=token),
                timeout=30,
            )
        )
        listed = sum(len(page.handlers) for page in pages)
        _, status = await timed(
            one.system.GetSystemStatus(system_service_pb2.GetSystemStatusRequest(), timeout=30)
        )
        # A rolling deployment: one endpoint goes, another one comes and is called.
        await asyncio.to_thread(system.stop_handlers)
        began = time.monotonic()
        await asyncio.to_thread(system.start_handlers)
        await one.run(handlers.NOW)
        renewed = time.monotonic() - began
        took += [await one.run(handlers.NOW) for _ in range(20)]
        system.rows("DELETE FROM handlers WHERE service_name = 'scale-many'")
        system.rows("UPDATE registry SET changes = changes + 1")
    return [
        Row("endpoints", "not listed", number - listed, "<=", 0, ""),
        Row("endpoints", "a page of 1,000, the slowest", longest, "<=", 2.0),
        Row("endpoints", "status", status, "<=", 2.0),
        Row("endpoints", "a workflow of another service, the slowest", max(took), "<=", 10.0),
        Row("endpoints", "until a service that comes is called", renewed, "<=", 30.0),
    ]


async def watchers(system: System, number: int, normal: float) -> list[Row]:
    """So many watches are opened at once on a few connections; each sees its workflow to the end."""
    connections = max(number // WATCHERS_PER_CONNECTION, 1)
    await asyncio.to_thread(system.stop_router)
    async with api(system.address) as reader:
        ids = [await reader.start(handlers.NOW, f"watched-{at}") for at in range(50)]
        failed: list[str] = []
        first: list[float] = []
        done: list[float] = []
        began = time.monotonic()
        released = asyncio.Event()

        async def watch(one: Api, at: int) -> None:
            stream = one.workflows.WatchWorkflow(
                _pb.WatchWorkflowRequest(workflow_instance_id=ids[at % len(ids)]), timeout=300
            )
            try:
                seen = False
                async for response in stream:
                    if not seen and response.HasField("history_entry"):
                        first.append(time.monotonic() - began)
                        seen = True
                        if len(first) == number:
                            released.set()
                done.append(time.monotonic())
            except grpc.aio.AioRpcError as error:
                failed.append(f"{error.code().name}: {error.details()}")
                released.set()

        channels = [
            grpc.aio.insecure_channel(
                system.address, options=[("grpc.use_local_subchannel_pool", 1)]
            )
            for _ in range(connections)
        ]
        try:
            async with bystander(reader, ids[0]) as looks:
                watching = [
                    asyncio.ensure_future(watch(Api(channels[at % connections]), at))
                    for at in range(number)
                ]
                async with asyncio.timeout(120):
                    await released.wait()
                opened = time.monotonic() - began
                await asyncio.to_thread(system.start_router)
                last = time.monotonic()
                await asyncio.gather(*watching)
                ended = max(done, default=last) - last
            for message, times in Counter(failed).items():
                print(f"watchers: {times} failed with {message}", flush=True)
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
    return [
        Row(
            "watchers",
            f"{number:,} at once on {connections} connections that failed",
            len(failed),
            "<=",
            0,
            "",
        ),
        Row("watchers", "until each had its first entry", opened, "<=", 20.0),
        Row("watchers", "a bystander's GetWorkflow meanwhile, the slowest", max(looks), "<=", 2.0),
        Row("watchers", "until each had seen the end", ended, "<=", 30.0),
    ]
