"""The notice of a workflow's end has the context that a read would give."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from router.given import INSTANCE
from router.whole import Made, WholeRouter, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation.v1 import workflow_pb2
from waystation_conversion import context_to_proto
from waystation_core import outcome_seal
from waystation_core.outcome_seal import MOST_BYTES, OutcomeSeal
from waystation_core.ports.broker import Notice
from waystation_domain.commit import InstanceCommit
from waystation_domain.model import Instance, Status


def _ends(made: Made, output: str) -> None:
    response = pb.HandleEventResponse(result={})
    response.result.complete.output["text"] = output
    made.answer(response)


async def _ended(whole: WholeRouter, output: str) -> Notice:
    heard: list[Notice] = []
    whole.broker._hub.listeners.append(heard.extend)
    await whole.register(task("first"))
    whole.endpoints.on_call = lambda made: _ends(made, output)
    await whole.start()
    await whole.begin()
    await whole.all_settled()

    async def notices() -> list[Notice]:
        return heard

    (notice,) = await eventually(notices, until=bool, what="the notice")
    return notice


async def test_it_is_what_a_read_gives(whole: WholeRouter) -> None:
    notice = await _ended(whole, "paid")
    key = (await whole.registry.snapshot()).completion_key
    found = OutcomeSeal(key).opened(notice.outcome)
    instances = await whole.engine.queries.instances([notice.workflow_instance_id])
    (instance,) = instances.values()
    assert instance.completed_at is not None
    assert found == context_to_proto(instance)
    assert OutcomeSeal(b"k" * 32).opened(notice.outcome) is None


async def test_a_large_one_is_left_to_a_read(whole: WholeRouter) -> None:
    notice = await _ended(whole, "x" * MOST_BYTES)
    assert notice.outcome == b""


def test_no_message_is_made_of_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Instance] = []
    to_proto = outcome_seal.context_to_proto

    def noted(instance: Instance) -> workflow_pb2.WorkflowContext:
        made.append(instance)
        return to_proto(instance)

    monkeypatch.setattr(outcome_seal, "context_to_proto", noted)

    def sealed(size: int) -> bytes:
        ended = replace(INSTANCE, status=Status.COMPLETED, data={"text": "x" * size})
        commit = InstanceCommit(INSTANCE, ended)
        commit.written(datetime.now(UTC))
        return OutcomeSeal(b"k" * 32).sealed(commit)

    assert sealed(MOST_BYTES) == b""
    assert made == []
    assert sealed(1) != b""
