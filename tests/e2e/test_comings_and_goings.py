"""Handler services that come late, leave, come back, and live beside others."""

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.claims import check_claims, start_claims
from support.moody import Moody
from support.stories import attempts, read_story
from support.system import BINARIES, CLAIMS, ROOT, System
from support.waiting import eventually

from waystation.v1.blocker_pb2 import BLOCKER_KIND_IDLE, BLOCKER_KIND_NO_LIVE_ENDPOINT
from waystation_worker import Client

pytestmark = pytest.mark.timeout(240)


async def grpcurl(address: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
    """What the real grpcurl gets as an answer."""
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *(BINARIES / "grpcurl", "-plaintext", "-d", json.dumps(request), address),
            f"waystation.v1.WorkflowService/{method}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def blockers(client: Client, workflow_instance_id: str) -> dict[int, str]:
    """What the instance waits for, by kind."""
    return {
        each.kind: each.message for each in (await client.explain(workflow_instance_id)).blockers
    }


async def test_a_workflow_that_nobody_handles_is_explained_and_goes_on_when_its_handler_first_comes(
    system: System, tmp_path: Path
) -> None:
    started = await grpcurl(
        system.address, "StartWorkflow", {"workflow_type": "plain", "data": {"amount": 1}}
    )
    workflow_instance_id = started["context"]["workflow_instance_id"]
    assert not started.get("task_ids")
    async with system.client() as client:
        assert (await client.wait(workflow_instance_id, timeout=30)).outcome == "IDLE"
        explained = await grpcurl(
            system.address, "ExplainWorkflow", {"workflow_instance_id": workflow_instance_id}
        )
        assert "no task handles" in json.dumps(explained)
        assert "workflow.started" in json.dumps(explained)
        assert BLOCKER_KIND_IDLE in await blockers(client, workflow_instance_id)
        Moody(system, tmp_path, service="plainly", tasks=["plain"]).start()
        done = await eventually(
            lambda: client.get(workflow_instance_id), until=lambda each: each.ended, timeout=30
        )
        assert (done.status, done.data) == ("COMPLETED", {"amount": 1, "done": True})
        await read_story(client, workflow_instance_id)


async def test_a_handler_service_that_was_stopped_and_comes_back_has_lost_nothing(
    system: System, tmp_path: Path
) -> None:
    moody = Moody(system, tmp_path, service="pausing", tasks=["neighbour"])
    (first,) = moody.start()
    async with system.client() as client:
        under_way = [await client.start("neighbour", {"wanted": 8}) for _ in range(20)]
        assert await asyncio.to_thread(first.stop) == 0
        meanwhile = [await client.start("neighbour", {"wanted": 1}) for _ in range(20)]
        await eventually(
            lambda: blockers(client, meanwhile[0].id),
            until=lambda kinds: BLOCKER_KIND_NO_LIVE_ENDPOINT in kinds,
            timeout=30,
            what="the deliveries to wait for an endpoint",
        )
        await asyncio.to_thread(moody.start)
        for started in (*under_way, *meanwhile):
            done = await client.wait(started.id, timeout=60)
            assert (done.status, done.data["steps"]) == ("COMPLETED", done.data["wanted"])
            # Stopping in good order cuts nothing off, and waiting for an endpoint is no attempt.
            story = await read_story(client, started.id)
            assert {entry.attempt for entry in attempts(story, "neighbour")} == {1}


async def test_the_readmes_handler_and_the_claims_get_none_of_each_others_events(
    system: System, tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    (tmp_path / "hello.py").write_text(block[1], encoding="utf-8")
    system.start_handlers(tmp_path / "hello.py")
    system.start_handlers(*CLAIMS)
    async with system.client() as client:
        claims = await start_claims(client, 15)
        others = [await client.run("hello", {"name": "Ada"}, timeout=60) for _ in range(5)]
        await check_claims(client, claims, within=60)
        for other in others:
            assert (other.status, other.output) == ("COMPLETED", {"greeting": "Hello, Ada"})
            assert await services_of(client, other.id) == {"greetings"}
        for claim in claims:
            assert await services_of(client, claim) == {"insurance-claims"}


async def services_of(client: Client, workflow_instance_id: str) -> set[str]:
    """The services that took part in an instance."""
    story = await read_story(client, workflow_instance_id)
    return {entry.service_name for entry in story.entries} - {""}
