"""Registering handler services: refusals, leases, catch-up, lists, static files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from domain.test_endpoints import NO_HOSTS, NO_MACHINES
from support.running_api import Api, refusal
from support.scripted_engine import reply, task
from support.waiting import eventually

from waystation.v1 import handler_registry_service_pb2 as pb
from waystation.v1 import workflow_service_pb2
from waystation.v1.handler_pb2 import RegistrationKind, TaskSpec
from waystation_domain.errors import shown
from waystation_domain.model import DeliveryState

Code = grpc.StatusCode


def register(**fields: Any) -> pb.RegisterHandlerRequest:
    spec = fields.pop("spec", {})
    tasks = fields.pop("tasks", None)
    if tasks is None:
        tasks = [
            TaskSpec(
                **{
                    "task_id": "claim_validator",
                    "event_types": ["workflow.started"],
                    "workflow_types": ["insurance_claim"],
                    **spec,
                }
            )
        ]
    return pb.RegisterHandlerRequest(
        **{"service_name": "claims", "host": "127.0.0.1", "port": 7500, **fields}, tasks=tasks
    )


async def test_a_registration_is_listed_renewed_and_taken_out(api: Api) -> None:
    made = (await api.handlers.RegisterHandler(register(service_version="1.2"))).handler
    assert made.kind == RegistrationKind.REGISTRATION_KIND_LEASED
    assert 29_000 < made.lease_remaining.ToMilliseconds() <= 30_000
    (spec,) = made.tasks
    assert (spec.max_attempts, spec.timeout.ToSeconds(), spec.max_in_flight) == (5, 30, 100)
    renewed = await api.handlers.RenewHandler(pb.RenewHandlerRequest(handler_id=made.handler_id))
    assert renewed.lease_remaining.ToSeconds() == 30
    (listed,) = (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers
    assert (listed.handler_id, listed.service_version) == (made.handler_id, "1.2")
    assert not listed.HasField("reachable")
    for _ in range(2):
        await api.handlers.UnregisterHandler(
            pb.UnregisterHandlerRequest(handler_id=made.handler_id)
        )
    assert not (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers
    gone = await refusal(
        api.handlers.RenewHandler(pb.RenewHandlerRequest(handler_id=made.handler_id))
    )
    assert (gone.code, gone.reason) == (Code.NOT_FOUND, "HANDLER_NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"service_name": ""}, "INVALID_ID", "service_name"),
        ({"tasks": []}, "INVALID_FIELD", "tasks"),
        ({"port": 0}, "INVALID_FIELD", "port"),
        ({"port": 70968}, "INVALID_FIELD", "port"),
        ({"kind": 9}, "INVALID_FIELD", "kind"),
        ({"lease": {"seconds": 0}}, "INVALID_FIELD", "lease"),
        ({"lease": {"nanos": 1}}, "INVALID_FIELD", "lease"),
        ({"lease": {"seconds": -30}}, "INVALID_FIELD", "lease"),
        ({"lease": {"seconds": 3601}}, "INVALID_FIELD", "lease"),
        ({"lease": {"seconds": 365 * 86_400}}, "INVALID_FIELD", "lease"),
        ({"port": -1}, "INVALID_FIELD", "port"),
        ({"lease": {"seconds": 5}, "kind": 2}, "INVALID_FIELD", "lease"),
        ({"spec": {"task_id": "a b"}}, "INVALID_ID", "tasks[0].task_id"),
        ({"spec": {"task_id": "a:b"}}, "INVALID_ID", "tasks[0].task_id"),
        ({"spec": {"event_types": []}}, "INVALID_FIELD", "tasks[0].event_types"),
        ({"spec": {"event_types": ["claim*"]}}, "INVALID_EVENT_TYPE", "tasks[0].event_types"),
        ({"spec": {"workflow_types": []}}, "WORKFLOW_TYPES_REQUIRED", "tasks[0].workflow_types"),
        ({"spec": {"max_attempts": 1001}}, "INVALID_FIELD", "tasks[0].max_attempts"),
        ({"spec": {"history_entries": 1001}}, "INVALID_FIELD", "tasks[0].history_entries"),
        ({"spec": {"history_entries": -1}}, "INVALID_FIELD", "tasks[0].history_entries"),
        ({"spec": {"backoff_jitter": 1.5}}, "INVALID_FIELD", "tasks[0].backoff_jitter"),
        ({"spec": {"timeout": {"seconds": 90_000}}}, "INVALID_FIELD", "tasks[0].timeout"),
        ({"spec": {"reads": {"paths": ["a.b"]}}}, "INVALID_PATH", None),
    ],
)
async def test_registrations_that_break_a_rule_are_refused(
    api: Api, fields: dict[str, Any], reason: str, field: str | None
) -> None:
    refused = await refusal(api.handlers.RegisterHandler(register(**fields)))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, reason)
    assert refused.metadata.get("field") == field
    assert not (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers


async def test_endpoints_off_the_allowlist_are_refused(api: Api) -> None:
    for host in (*NO_MACHINES, "10.0.0.7", "no-such-host.invalid"):
        refused = await refusal(api.handlers.RegisterHandler(register(host=host)))
        assert (refused.code, refused.reason) == (Code.PERMISSION_DENIED, "ENDPOINT_NOT_ALLOWED")
        assert refused.metadata["host"] == host
    for host in NO_HOSTS:
        refused = await refusal(api.handlers.RegisterHandler(register(host=host)))
        assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, "INVALID_FIELD")
        assert (refused.metadata["field"], refused.metadata["value"]) == ("host", shown(host))
        assert len(refused.message) < 250
    assert not (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers


async def test_every_inadmissible_address_gets_the_same_message(serve: Any) -> None:
    """Off the list, not there, leading nowhere, or this system's own database: the same refusal."""
    api: Api = await serve(WAYSTATION_BROKER_URL="amqp://guest:guest@127.0.0.1:5699/")
    places = [("127.0.0.1", 5699), ("10.0.0.7", 7500), ("no-such-host.invalid", 7500)]
    texts = set()
    for host, port in places:
        refused = await refusal(api.handlers.RegisterHandler(register(host=host, port=port)))
        assert refused.reason == "ENDPOINT_NOT_ALLOWED"
        texts.add(refused.message.replace(f"{host}:{port}", "HERE"))
    assert len(texts) == 1


async def test_further_endpoints_than_the_operator_admits_are_refused(serve: Any) -> None:
    api: Api = await serve(WAYSTATION_MAX_HANDLERS="1")
    await api.handlers.RegisterHandler(register())
    await api.handlers.RegisterHandler(register(service_version="2"))
    refused = await refusal(api.handlers.RegisterHandler(register(port=7501)))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "TOO_MANY_HANDLERS")
    assert refused.metadata == {"limit": "1"}


async def test_names_are_resolved_before_the_allowlist_is_asked(api: Api) -> None:
    made = await api.handlers.RegisterHandler(register(host="localhost"))
    assert made.handler.host == "localhost"


async def test_an_allowlist_of_the_operators_own(serve: Any) -> None:
    api: Api = await serve(WAYSTATION_HANDLER_ALLOWLIST="10.0.0.0/8:7500-7599")
    await api.handlers.RegisterHandler(register(host="10.0.0.7"))
    refused = await refusal(api.handlers.RegisterHandler(register(host="10.0.0.7", port=22)))
    assert refused.reason == "ENDPOINT_NOT_ALLOWED"
    assert (await refusal(api.handlers.RegisterHandler(register()))).metadata["port"] == "7500"


async def test_a_task_belongs_to_one_service(api: Api) -> None:
    await api.handlers.RegisterHandler(register())
    refused = await refusal(
        api.handlers.RegisterHandler(register(service_name="thieves", port=7501))
    )
    assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "TASK_OWNED_BY_OTHER_SERVICE")
    assert refused.metadata == {"task_id": "claim_validator", "service_name": "claims"}


async def test_a_repeated_registration_is_one_and_another_body_is_refused(api: Api) -> None:
    first = await api.handlers.RegisterHandler(register(request_id="r-1"))
    again = await api.handlers.RegisterHandler(register(request_id="r-1"))
    assert again.handler.handler_id == first.handler.handler_id
    refused = await refusal(api.handlers.RegisterHandler(register(request_id="r-1", port=7501)))
    assert (refused.code, refused.reason) == (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    other = await api.handlers.RegisterHandler(
        register(
            request_id="r-2", tasks=[TaskSpec(task_id="b", event_types=["x"], workflow_types=["*"])]
        )
    )
    assert other.handler.handler_id != first.handler.handler_id


async def test_handlers_are_listed_by_page(api: Api) -> None:
    for port in (7503, 7501, 7502):
        await api.handlers.RegisterHandler(
            register(port=port, kind=RegistrationKind.REGISTRATION_KIND_STATIC)
        )
    first = await api.handlers.ListHandlers(pb.ListHandlersRequest(page_size=2))
    rest = await api.handlers.ListHandlers(
        pb.ListHandlersRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [handler.port for handler in (*first.handlers, *rest.handlers)] == [7501, 7502, 7503]
    assert not first.handlers[0].HasField("lease_remaining")
    none = await api.handlers.ListHandlers(pb.ListHandlersRequest(service_name="others"))
    assert not none.handlers


def large(port: int, names: int, paths: int = 0) -> pb.RegisterHandlerRequest:
    """A registration with so many names of a task, each as long as it may be."""
    tasks = [
        TaskSpec(
            task_id="a",
            event_types=["x"],
            workflow_types=[f"{number:04}".ljust(200, "y") for number in range(min(names, 1000))],
            may_emit=[f"{number:04}".ljust(200, "y") for number in range(max(names - 1000, 0))],
        )
    ]
    tasks[0].reads.paths.extend(f"/{number}/" + "y" * 900_000 for number in range(paths))
    return register(port=port, kind=RegistrationKind.REGISTRATION_KIND_STATIC, tasks=tasks)


async def test_tasks_are_listed_where_they_are_asked_for_and_a_page_fits_into_a_message(
    api: Api,
) -> None:
    for port in range(7501, 7507):
        await api.handlers.RegisterHandler(large(port, 2000))
    plain = (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers
    assert [handler.port for handler in plain] == list(range(7501, 7507))
    assert not any(handler.tasks for handler in plain)
    seen: list[Any] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await api.handlers.ListHandlers(
            pb.ListHandlersRequest(with_tasks=True, page_token=token)
        )
        assert page.ByteSize() <= 2 * 1024 * 1024
        seen, token, pages = [*seen, *page.handlers], page.next_page_token, pages + 1
    assert [handler.port for handler in seen] == list(range(7501, 7507))
    assert pages == 2
    assert {len(handler.tasks[0].may_emit) for handler in seen} == {1000}


async def test_the_largest_registration_fits_into_a_message_and_a_larger_one_is_refused(
    api: Api,
) -> None:
    made = await api.handlers.RegisterHandler(large(7501, 500, paths=1))
    assert made.ByteSize() < 2 * 1024 * 1024
    refused = await refusal(api.handlers.RegisterHandler(large(7502, 500, paths=2)))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")
    assert refused.metadata["field"] == "tasks"
    assert refused.metadata["limit_bytes"] == "1048576"
    (listed,) = (await api.handlers.ListHandlers(pb.ListHandlersRequest(with_tasks=True))).handlers
    assert listed.tasks[0] == made.handler.tasks[0]


async def _start_unhandled(api: Api, name: str, workflow_type: str = "insurance_claim") -> None:
    await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(
            workflow_type=workflow_type, workflow_instance_id=name
        )
    )
    await api.engine.handle(name, "workflow.started", None)


async def _deliveries(api: Api, name: str) -> list[tuple[str, str]]:
    key = (await api.store.queries.instances([name]))[name].key
    found = (await api.store.queries.open_work(key)).deliveries.shown
    assert all(fact.delivery.state is DeliveryState.READY for fact in found)
    return [(fact.event.event_type, fact.delivery.task_id) for fact in found]


async def test_a_task_that_is_late_catches_up(api: Api) -> None:
    for name in ("w-1", "w-2"):
        await _start_unhandled(api, name)
    await _start_unhandled(api, "strange", "other_type")
    await _start_unhandled(api, "ended")
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id="ended")
    )
    made = await api.handlers.RegisterHandler(register(spec={"event_types": ["workflow.#"]}))
    assert made.caught_up_events == 2
    for name in ("w-1", "w-2"):
        assert await _deliveries(api, name) == [("workflow.started", "claim_validator")]
        assert (await api.store.queries.instances([name]))[name].idle is None
    for name in ("strange", "ended"):
        assert await _deliveries(api, name) == []
    again = await api.handlers.RegisterHandler(register(spec={"event_types": ["workflow.#"]}))
    assert again.caught_up_events == 0


async def test_each_late_task_gets_every_unhandled_event_once(api: Api) -> None:
    def tasks(*task_ids: str) -> list[TaskSpec]:
        return [
            TaskSpec(
                task_id=task_id,
                event_types=["workflow.started"],
                workflow_types=["insurance_claim"],
            )
            for task_id in task_ids
        ]

    for name in ("open", "handled"):
        await _start_unhandled(api, name)
    # Together in one call.
    made = await api.handlers.RegisterHandler(register(tasks=tasks("a", "b")))
    assert made.caught_up_events == 4
    started = "workflow.started"
    assert await _deliveries(api, "open") == [(started, "a"), (started, "b")]
    for task_id in ("a", "b"):
        await api.engine.handle("handled", started, reply("next"), by=task(task_id))
    # Much later: what the others made of it is none of its business.
    made = await api.handlers.RegisterHandler(register(port=7501, tasks=tasks("c")))
    assert made.caught_up_events == 2
    assert await _deliveries(api, "open") == [(started, one) for one in ("a", "b", "c")]
    assert await _deliveries(api, "handled") == [(started, "c")]
    unsettled = (await api.store.queries.instances(["open"]))["open"].unsettled
    assert unsettled == 1
    # The second look finds that each had it.
    for spec in (await api.store.registry.snapshot()).tasks:
        found = await api.store.registry.instances_to_catch_up(spec)
        assert (found.keys, found.after) == ([], None)


async def test_a_task_may_decline_to_catch_up(api: Api) -> None:
    await _start_unhandled(api, "w-1")
    made = await api.handlers.RegisterHandler(register(spec={"catch_up": 2}))
    assert made.caught_up_events == 0
    assert await _deliveries(api, "w-1") == []


async def test_what_was_committed_meanwhile_is_found_by_the_second_look(api: Api) -> None:
    await api.handlers.RegisterHandler(register())
    # As if a commit that began before the registration had come late.
    await _start_unhandled(api, "late")
    assert await _deliveries(api, "late") == []

    async def look() -> list[tuple[str, str]]:
        return await _deliveries(api, "late")

    await eventually(look, timeout=20, what="the second look of catch-up")


async def test_static_registrations_come_from_a_file(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "handlers.json"
    entry = {
        "service_name": "claims",
        "host": "127.0.0.1",
        "port": 7500,
        "tasks": [{"task_id": "a", "event_types": ["x"], "workflow_types": ["*"]}],
    }
    file.write_text(json.dumps([entry, {**entry, "host": "10.9.9.9"}]))
    api: Api = await serve(WAYSTATION_HANDLERS_FILE=str(file))
    (handler,) = (await api.handlers.ListHandlers(pb.ListHandlersRequest())).handlers
    assert handler.kind == RegistrationKind.REGISTRATION_KIND_STATIC
