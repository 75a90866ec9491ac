"""The recipes of docs/recipes.md, on a real Waystation."""

from __future__ import annotations

import re
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.system import BINARIES, Embedded
from support.waiting import eventually

from waystation.v1 import status_pb2
from waystation.v1.task_handler_service_pb2 import HandleEventRequest
from waystation_worker import Client, HandlerService

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Embedded(tmp_path_factory.mktemp("recipes")) as system:
        yield system.address


def page_module(name: str) -> Any:
    """The Python block of the page that begins with this file's name, as a module."""
    (source,) = re.findall(rf"^```python\n# {name}\.py\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    module = types.ModuleType(name)
    exec(compile(source, f"{PAGE.name}:{name}.py", "exec"), vars(module))
    return module


async def test_children_tell_their_parent_how_they_ended(address: str) -> None:
    async with Client(address) as client:
        service: HandlerService = page_module("orders").build_service(client)
        async with service.serving(address=address, port=0) as serving:
            await serving.wait_registered()
            items = ["lamp", "piano", "chair"]
            order = await client.run("order", {"items": items}, timeout=60)
    assert order.outcome == "DONE"
    assert order.output == {"deliveries": {"0": "completed", "1": "failed", "2": "completed"}}


async def test_a_child_that_may_be_rescued_tells_nothing_yet() -> None:
    told = []

    class Publishes:
        async def publish(self, *arguments: Any, request_id: str) -> None:
            told.append(arguments)

    service: HandlerService = page_module("orders").build_service(Publishes())
    request = HandleEventRequest(task_id="notify_parent", attempt=1, idempotency_key="k")
    request.event.event_type = "workflow.failed"
    request.context.status = status_pb2.WORKFLOW_STATUS_FAILED
    request.context.data.update({"number": 3, "parent": "order-1"})
    request.event.payload["open_dead_letters"] = 1
    await service.answer(request)
    assert told == []
    request.event.event_type = "workflow.dead_letter.discarded"
    request.event.payload["open_dead_letters"] = 0
    await service.answer(request)
    assert told == [("order-1", "delivery.ended", {"number": 3, "how": "failed"})]


class Starts:
    """A client that notes what is started."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def start(
        self, kind: str, data: Any, *, workflow_instance_id: str, request_id: str
    ) -> None:
        assert request_id == workflow_instance_id
        self.ids.append(workflow_instance_id)


async def test_a_child_has_the_same_id_on_every_attempt_and_nobody_elses() -> None:
    starts = Starts()
    service: HandlerService = page_module("orders").build_service(starts)
    request = HandleEventRequest(task_id="send_parcels", attempt=1, idempotency_key="k" * 500)
    request.context.data["items"] = ["lamp", "chair"]
    await service.answer(request)
    request.attempt = 2
    await service.answer(request)
    first, second = starts.ids[:2], starts.ids[2:]
    assert first == second
    assert len({*first}) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9._:-]{1,200}", name) for name in first)
    request.idempotency_key = "another"
    await service.answer(request)
    assert not {*first} & {*starts.ids[4:]}


async def test_a_series_goes_on_in_a_new_workflow(address: str) -> None:
    async with Client(address) as client:
        service: HandlerService = page_module("reports").build_service(client, rounds=2)
        async with service.serving(address=address, port=0) as serving:
            await serving.wait_registered()
            data = {"every": 0.2, "rounds": 0}
            await client.start("reports", data, workflow_instance_id="fast.1")
            first = await client.wait("fast.1", timeout=60)
            assert first.output == {"successor": "fast.2"}
            assert first.data["rounds"] == 2

            async def second() -> Any:
                return (await client.wait("fast.2", timeout=60)).output

            assert await eventually(second) == {"successor": "fast.3"}
            await client.cancel("fast.3")


def test_cron_starts_one_workflow_a_day(address: str) -> None:
    (line,) = re.findall(r"^waystation start .*$", PAGE.read_text(), re.M)
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-c", line.replace("waystation", str(BINARIES / "waystation"), 1)],
            env={"WAYSTATION_ADDRESS": address, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert re.search(r"report-\d{4}-\d\d-\d\d", done.stdout)
