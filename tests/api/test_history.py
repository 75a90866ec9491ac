"""ListHistory: pages by number and size, filters, both directions, with and without changes."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from support.running_api import Api, history, refusal
from support.scripted_engine import failure, reply

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.history_pb2 import HistoryFilter, HistoryResult, HistoryView
from waystation_api.workflows import reads
from waystation_core.ports.store import HistoryPortion
from waystation_core.store.queries import PostgresQueryStore
from waystation_domain.operations import Operation

FAILED = HistoryResult.HISTORY_RESULT_FAILED
BASIC = HistoryView.HISTORY_VIEW_BASIC


async def lived(api: Api) -> None:
    """Five entries: a start, three attempts, and an event that no task handles."""
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id="w-1")
    )
    await api.engine.handle("w-1", "workflow.started", reply("a", "b"))
    await api.engine.handle("w-1", "a", failure())
    await api.engine.handle("w-1", "a", reply(change=[Operation("/n", "set", 1)]), attempt=2)
    await api.engine.handle("w-1", "b", None)


async def pages(api: Api, **fields: Any) -> list[list[int]]:
    """The sequence numbers, page by page."""
    request = pb.ListHistoryRequest(workflow_instance_id="w-1", **fields)
    found = []
    while True:
        page = await api.workflows.ListHistory(request)
        found.append([entry.sequence for entry in page.entries])
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_a_page_is_read_in_portions_that_grow(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A page of large entries holds one of them: a thousand read for it would be read a thousand times.
    asked = []
    read = PostgresQueryStore.history

    async def watched(*args: Any, limit: int, **more: Any) -> HistoryPortion:
        asked.append(limit)
        return await read(*args, limit=limit, **more)

    monkeypatch.setattr(PostgresQueryStore, "history", watched)
    monkeypatch.setattr(reads, "FIRST_PORTION", 1)
    await lived(api)
    assert await pages(api, page_size=1000) == [[1, 2, 3, 4, 5]]
    assert await pages(api, page_size=4, newest_first=True) == [[5, 4, 3, 2], [1]]
    assert asked == [1, 2, 4, 1, 2, 1, 1]


async def test_pages_follow_each_other_both_ways_and_filters_hold_on_each(api: Api) -> None:
    await lived(api)
    assert await pages(api) == [[1, 2, 3, 4, 5]]
    assert await pages(api, page_size=2) == [[1, 2], [3, 4], [5]]
    assert await pages(api, page_size=5) == [[1, 2, 3, 4, 5]]
    assert await pages(api, page_size=2, newest_first=True) == [[5, 4], [3, 2], [1]]
    for filter, sequences in (
        (HistoryFilter(from_sequence=2, to_sequence=4), [2, 3, 4]),
        (HistoryFilter(task_ids=["claim_validator"]), [2, 3, 4]),
        (HistoryFilter(task_ids=["client"]), [1]),
        (HistoryFilter(event_types=["a", "a"]), [3, 4]),
        (HistoryFilter(results=[FAILED]), [3]),
        (HistoryFilter(actions=["start", "not_yet_invented"]), [1]),
        (HistoryFilter(from_sequence=6), []),
    ):
        assert await pages(api, filter=filter) == [sequences]
        one_by_one = [[sequence] for sequence in sequences[::-1]] or [[]]
        assert await pages(api, filter=filter, page_size=1, newest_first=True) == one_by_one


async def test_what_is_added_meanwhile_moves_no_page(api: Api) -> None:
    await lived(api)
    request = pb.ListHistoryRequest(workflow_instance_id="w-1", page_size=3, newest_first=True)
    first = await api.workflows.ListHistory(request)
    publish = pb.PublishEventRequest(workflow_instance_id="w-1")
    publish.event.event_type = "more"
    await api.workflows.PublishEvent(publish)
    request.page_token = first.next_page_token
    second = await api.workflows.ListHistory(request)
    seen = [entry.sequence for page in (first, second) for entry in page.entries]
    assert (seen, second.next_page_token) == ([5, 4, 3, 2, 1], "")


async def test_the_basic_view_leaves_the_change_out_and_nothing_else(api: Api) -> None:
    await lived(api)
    page = await api.workflows.ListHistory(
        pb.ListHistoryRequest(workflow_instance_id="w-1", view=BASIC)
    )
    full = await history(api)
    assert [len(entry.change) for entry in full] == [1, 0, 0, 1, 0]
    for entry in full:
        entry.ClearField("change")
    assert list(page.entries) == full


async def test_a_page_ends_before_it_is_too_large_and_one_large_entry_is_alone(
    api: Api,
) -> None:
    await lived(api)
    large = "x" * 1_000_000
    for at in range(5):
        change = [Operation(f"/{at % 2}", "set", large)]
        sender = pb.PublishEventRequest(workflow_instance_id="w-1")
        sender.event.event_type = f"large.{at}"
        await api.workflows.PublishEvent(sender)
        undone = [Operation("", "set", {})]
        await api.engine.handle("w-1", f"large.{at}", reply(change=[*undone, *change]))
    found = await pages(api, page_size=1000)
    assert [number for page in found for number in page] == list(range(1, 16))
    assert len(found) == 3
    assert await pages(api, page_size=1000, view=BASIC) == [list(range(1, 16))]


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"workflow_instance_id": "w 1"}, "INVALID_ID", "workflow_instance_id"),
        ({"page_size": -1}, "INVALID_FIELD", "page_size"),
        ({"page_token": "mine"}, "INVALID_PAGE_TOKEN", "page_token"),
        ({"view": 3}, "INVALID_FIELD", "view"),
        ({"filter": {"from_sequence": -1}}, "INVALID_FIELD", "filter.from_sequence"),
        ({"filter": {"to_sequence": -1}}, "INVALID_FIELD", "filter.to_sequence"),
        (
            {"filter": {"from_sequence": 3, "to_sequence": 2}},
            "INVALID_FIELD",
            "filter.from_sequence",
        ),
        ({"filter": {"task_ids": ["a b"]}}, "INVALID_ID", "filter.task_ids"),
        ({"filter": {"event_types": ["claim.*"]}}, "INVALID_EVENT_TYPE", "filter.event_types"),
        ({"filter": {"actions": [""]}}, "INVALID_ID", "filter.actions"),
        ({"filter": {"actions": ["x"] * 1001}}, "INVALID_FIELD", "filter.actions"),
        ({"filter": {"results": [0]}}, "INVALID_FIELD", "filter.results"),
        ({"filter": {"results": [9]}}, "INVALID_FIELD", "filter.results"),
    ],
)
async def test_what_can_not_be_meant_is_refused(
    api: Api, fields: dict[str, Any], reason: str, field: str
) -> None:
    refused = await refusal(
        api.workflows.ListHistory(
            pb.ListHistoryRequest(**{"workflow_instance_id": "w-1", **fields})
        )
    )
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        reason,
        (field,),
    )


async def test_a_token_is_of_one_list_and_an_unknown_instance_has_none(api: Api) -> None:
    await lived(api)
    request = pb.ListHistoryRequest(workflow_instance_id="w-1", page_size=2)
    token = (await api.workflows.ListHistory(request)).next_page_token
    for other in (
        {"newest_first": True},
        {"view": BASIC},
        {"filter": HistoryFilter(from_sequence=2)},
        {"workflow_instance_id": "w-2"},
    ):
        fields = {"workflow_instance_id": "w-1", "page_token": token, **other}
        refused = await refusal(api.workflows.ListHistory(pb.ListHistoryRequest(**fields)))
        assert refused.reason == "INVALID_PAGE_TOKEN"
    refused = await refusal(
        api.workflows.ListHistory(pb.ListHistoryRequest(workflow_instance_id="nobody"))
    )
    assert refused.reason == "WORKFLOW_NOT_FOUND"
