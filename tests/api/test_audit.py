"""The audit log: each change has its row, in the same transaction; each refusal has one soon after; nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from api.test_bulk_dead_letters import CONTINUE, failed, retry
from api.test_changes import answer, cancel, publish, started
from api.test_handlers import register
from support.running_api import Api, history, refusal
from support.scripted_engine import reply
from support.scripted_store import reply_lost
from support.waiting import eventually

from waystation.v1 import audit_service_pb2 as pb
from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import workflow_service_pb2 as workflows_pb
from waystation_core.identity import principal as identity
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.identity.principal import EVERY, Principal, set_caller
from waystation_core.rpc.roles import Role
from waystation_domain.outcomes import WaitRequest

ADA = Principal("token:ada", {EVERY: frozenset(Role)}, frozenset({EVERY}))
BOB = Principal("jwt:bob", {"default": frozenset({Role.ADMIN})}, frozenset())
EVE = Principal("token:eve", {"elsewhere": frozenset({Role.ADMIN})}, frozenset())


class Callers(grpc.aio.ServerInterceptor):
    """Who is calling: whom the call's metadata names."""

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        known = {each.name: each for each in (ADA, BOB, EVE)}
        named = dict(details.invocation_metadata).get("who", "")
        set_caller(known.get(str(named), identity.ANONYMOUS))
        return await continuation(details)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waystation_api.app.FLUSH_SECONDS", 0.02)


@pytest.fixture
async def api(serve: Any) -> Api:
    found: Api = await serve(interceptors=(Callers(),))
    return found


def by(who: Principal) -> dict[str, Any]:
    return {"metadata": (("who", who.name),)}


async def entries(api: Api, who: Principal = ADA, **fields: Any) -> list[pb.AuditEntry]:
    """The audit log as this caller sees it, oldest first."""
    page = await api.audit.ListAudit(pb.ListAuditRequest(page_size=1000, **fields), **by(who))
    return list(reversed(page.entries))


async def refused_entries(api: Api, number: int = 1) -> list[pb.AuditEntry]:
    async def look() -> list[pb.AuditEntry]:
        return [entry for entry in await entries(api) if entry.code != "OK"]

    return await eventually(look, until=lambda found: len(found) >= number)


async def whose(api: Api, name: str, action: str) -> str:
    """The principal of an instance's entry of this action."""
    (entry,) = [entry for entry in await history(api, name) if entry.action == action]
    return entry.principal


async def asked(api: Api, name: str = "w-1") -> str:
    await started(api, name)
    asks = WaitRequest("How much?", wait_id="w-a")
    await api.engine.handle(name, "workflow.started", reply(waits=(asks,)))
    return name


# --- changes -----------------------------------------------------------------------------------


async def test_each_change_has_its_row_and_its_principal_in_history(api: Api) -> None:
    name = await asked(api)
    await api.workflows.ProvideInput(answer(name, request_id="r-1"), **by(ADA))
    await api.workflows.PublishEvent(publish(name), **by(BOB))
    forked = await api.workflows.ForkWorkflow(
        workflows_pb.ForkWorkflowRequest(workflow_instance_id=name, at_sequence=1), **by(ADA)
    )
    await api.workflows.CancelWorkflow(cancel(name), **by(BOB))

    fork = forked.context.workflow_instance_id
    found = [
        (entry.principal, entry.method, dict(entry.target), entry.request_id, entry.code)
        for entry in await entries(api)
    ]
    assert found == [
        ("token:ada", "ProvideInput", {"workflow_instance_id": name}, "r-1", "OK"),
        (
            "jwt:bob",
            "PublishEvent",
            {"workflow_instance_id": name, "event_type": "note.added"},
            "",
            "OK",
        ),
        (
            "token:ada",
            "ForkWorkflow",
            {"workflow_instance_id": name, "new_workflow_instance_id": fork, "at_sequence": "1"},
            "",
            "OK",
        ),
        ("jwt:bob", "CancelWorkflow", {"workflow_instance_id": name}, "", "OK"),
    ]
    assert {entry.peer for entry in await entries(api)} == {"127.0.0.1"}
    assert {entry.namespace for entry in await entries(api)} == {"default"}
    whose = {entry.action: entry.principal for entry in await history(api)}
    assert whose == {
        "start": "anonymous",
        "": "",
        "input": "token:ada",
        "publish": "jwt:bob",
        "cancel": "jwt:bob",
    }
    assert (await history(api, fork))[0].principal == "token:ada"


async def test_dead_letters_name_who_resolved_them(api: Api) -> None:
    first = await failed(api, "w-1", by=CONTINUE)
    second = await failed(api, "w-2", by=CONTINUE)
    await api.dead_letters.RetryDeadLetter(
        letters_pb.RetryDeadLetterRequest(dead_letter_id=first.dead_letter_id), **by(ADA)
    )
    await api.dead_letters.DiscardDeadLetter(
        letters_pb.DiscardDeadLetterRequest(dead_letter_id=second.dead_letter_id), **by(BOB)
    )
    retried, discarded = await entries(api)
    assert dict(retried.target) == {
        "dead_letter_id": first.dead_letter_id,
        "workflow_instance_id": "w-1",
        "task_id": "claim_validator",
    }
    assert discarded.principal == "jwt:bob"
    assert await whose(api, "w-1", "dead_letter_retried") == "token:ada"
    assert await whose(api, "w-2", "dead_letter_discarded") == "jwt:bob"


async def test_a_bulk_call_has_one_row_and_each_instance_says_who_made_it(api: Api) -> None:
    for number in range(3):
        await failed(api, f"w-{number}", by=CONTINUE)
    request = letters_pb.RetryDeadLettersRequest(request_id="r-1")
    request.filter.task_ids.append("claim_validator")
    request.filter.reasons.extend(["BAD", "WORSE"])
    answer = await api.dead_letters.RetryDeadLetters(request, **by(ADA))
    assert answer.retried == 3
    # A repetition changes nothing.
    await api.dead_letters.RetryDeadLetters(request, **by(BOB))
    (entry,) = await entries(api)
    assert (entry.principal, entry.method) == ("token:ada", "RetryDeadLetters")
    assert dict(entry.target) == {
        "task_ids": "claim_validator",
        "reasons[0]": "BAD",
        "reasons[1]": "WORSE",
    }
    for number in range(3):
        assert await whose(api, f"w-{number}", "dead_letter_retried") == "token:ada"


async def test_handlers_are_audited_where_something_changes(api: Api) -> None:
    made = await api.handlers.RegisterHandler(register(), **by(ADA))
    # Again, as after a renewal that found no registration: nothing changes.
    await api.handlers.RegisterHandler(register(), **by(ADA))
    handler_id = made.handler.handler_id
    await api.handlers.RenewHandler(handlers_pb.RenewHandlerRequest(handler_id=handler_id))
    for _ in range(2):
        await api.handlers.UnregisterHandler(
            handlers_pb.UnregisterHandlerRequest(handler_id=handler_id), **by(BOB)
        )
    await api.handlers.RetireTask(
        handlers_pb.RetireTaskRequest(task_id="claim_validator"), **by(BOB)
    )
    found = [(entry.principal, entry.method, dict(entry.target)) for entry in await entries(api)]
    assert found == [
        (
            "token:ada",
            "RegisterHandler",
            {"service_name": "claims", "host": "127.0.0.1", "port": "7500"},
        ),
        ("jwt:bob", "UnregisterHandler", {"handler_id": handler_id}),
        ("jwt:bob", "RetireTask", {"task_id": "claim_validator"}),
    ]


async def test_what_changes_nothing_has_no_row(api: Api) -> None:
    name = await started(api)
    await api.workflows.CancelWorkflow(cancel(name))
    await api.workflows.CancelWorkflow(cancel(name))
    assert len(await entries(api)) == 1


async def test_a_repeated_request_has_one_row_whoever_repeats_it(api: Api) -> None:
    name = await started(api)
    await api.workflows.PublishEvent(publish(name, request_id="r-1"), **by(ADA))
    await api.workflows.PublishEvent(publish(name, request_id="r-1"), **by(BOB))
    assert [entry.principal for entry in await entries(api)] == ["token:ada"]


async def test_a_repeated_start_is_the_same_whoever_repeats_it(api: Api) -> None:
    request = workflows_pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id="w-1")
    assert (await api.workflows.StartWorkflow(request, **by(ADA))).created
    assert not (await api.workflows.StartWorkflow(request, **by(BOB))).created
    assert [entry.principal for entry in await history(api)] == ["token:ada"]
    assert await entries(api) == []


async def test_a_change_whose_answer_was_lost_has_its_row(api: Api) -> None:
    name = await started(api)
    api.script.next("locked.exit", reply_lost())
    lost = await refusal(api.workflows.CancelWorkflow(cancel(name), **by(ADA)))
    assert lost.reason == "STORE_UNAVAILABLE"
    (refused,) = await refused_entries(api)
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
    # Whoever reads only what was changed finds it.
    assert [entry.code for entry in await entries(api)] == ["OK", "UNAVAILABLE"]


@pytest.mark.parametrize(
    "change",
    ["cancel", "fork", "register", "unregister", "retire", "bulk"],
)
async def test_without_its_row_nothing_is_changed(change: str, api: Api, database_url: str) -> None:
    """The row and the change are one transaction: where the row cannot be written, nothing is."""
    name = await started(api)
    made = await api.handlers.RegisterHandler(register(port=7501))
    if change == "bulk":
        await failed(api, "w-2", by=CONTINUE)
    before = await _rows(database_url)
    await _execute(database_url, "ALTER TABLE audit RENAME calls TO other")
    calls: Mapping[str, Any] = {
        "cancel": lambda: api.workflows.CancelWorkflow(cancel(name)),
        "fork": lambda: api.workflows.ForkWorkflow(
            workflows_pb.ForkWorkflowRequest(workflow_instance_id=name, at_sequence=1)
        ),
        "register": lambda: api.handlers.RegisterHandler(register()),
        "unregister": lambda: api.handlers.UnregisterHandler(
            handlers_pb.UnregisterHandlerRequest(handler_id=made.handler.handler_id)
        ),
        "retire": lambda: api.handlers.RetireTask(
            handlers_pb.RetireTaskRequest(task_id="claim_validator")
        ),
        "bulk": lambda: retry(api),
    }
    with pytest.raises(grpc.aio.AioRpcError):
        await calls[change]()
    assert await _rows(database_url) == before


async def _execute(database_url: str, statement: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


async def _rows(database_url: str) -> list[Any]:
    """How much there is of everything that these calls could change."""
    return await _execute(
        database_url,
        "SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM workflow_instances), "
        "(SELECT count(*) FROM handlers), (SELECT count(*) FROM tasks WHERE retired_at IS NULL), "
        "(SELECT count(*) FROM requests), (SELECT count(*) FROM dead_letters WHERE state = 1)",
    )


# --- refusals ----------------------------------------------------------------------------------


async def test_a_refusal_is_recorded_with_its_code(api: Api) -> None:
    await refusal(api.workflows.CancelWorkflow(cancel("nobody", request_id="r-9"), **by(BOB)))
    (entry,) = await refused_entries(api)
    assert (entry.principal, entry.method, entry.code, entry.reason, entry.request_id) == (
        "jwt:bob",
        "CancelWorkflow",
        "NOT_FOUND",
        "WORKFLOW_NOT_FOUND",
        "r-9",
    )
    assert dict(entry.target) == {"workflow_instance_id": "nobody"}


async def test_no_payload_and_no_reason_is_in_it(api: Api) -> None:
    name = await asked(api)
    request = answer(name, answered_by="secret-1")
    request.input.update({"card": "secret-2"})
    await api.workflows.ProvideInput(request)
    await api.workflows.CancelWorkflow(cancel(name, reason="secret-3"))
    wrong = answer(name)
    wrong.input.update({"card": "secret-4"})
    await refusal(api.workflows.ProvideInput(wrong))
    await refused_entries(api)
    assert "secret" not in str(await entries(api))


async def test_reads_and_starts_have_no_rows(api: Api) -> None:
    name = await started(api)
    await api.workflows.GetWorkflow(workflows_pb.GetWorkflowRequest(workflow_instance_id=name))
    await refusal(
        api.workflows.StartWorkflow(workflows_pb.StartWorkflowRequest(workflow_type="not one"))
    )
    await refusal(api.workflows.CancelWorkflow(cancel("nobody")))
    assert [entry.method for entry in await refused_entries(api)] == ["CancelWorkflow"]


async def test_denied_calls_are_recorded_whatever_they_call(serve: Any, tmp_path: Path) -> None:
    admin, reader = new_key(), new_key()
    file = tmp_path / "keys.json"
    roles = {"ops": (admin, {"*": ["admin"]}), "eyes": (reader, {"default": ["reader"]})}
    keys = [
        {"name": name, "sha256": digest_of_key(key), "grants": grants}
        for name, (key, grants) in roles.items()
    ]
    file.write_text(json.dumps({"keys": keys}))
    file.chmod(0o600)
    api: Api = await serve(WAYSTATION_KEYS_FILE=str(file))

    def bearer(key: str) -> Any:
        return {"metadata": (("authorization", f"Bearer {key}"),)}

    get = workflows_pb.GetWorkflowRequest(workflow_instance_id="w-1")
    await refusal(api.workflows.GetWorkflow(get))
    await refusal(api.workflows.GetWorkflow(get, **bearer(new_key())))
    await refusal(api.workflows.CancelWorkflow(cancel("w-1"), **bearer(reader)))

    async def look() -> list[pb.AuditEntry]:
        request = pb.ListAuditRequest(denied_only=True)
        page = await api.audit.ListAudit(request, **bearer(admin))
        return list(reversed(page.entries))

    found = await eventually(look, until=lambda found: len(found) >= 3)
    assert [(entry.principal, entry.method, entry.code) for entry in found[:3]] == [
        ("", "GetWorkflow", "UNAUTHENTICATED"),
        ("", "GetWorkflow", "UNAUTHENTICATED"),
        ("key:eyes", "CancelWorkflow", "PERMISSION_DENIED"),
    ]
    assert {entry.peer for entry in found} == {"127.0.0.1"}
    assert admin not in str(found)
    assert reader not in str(found)


# --- reading -----------------------------------------------------------------------------------


async def test_entries_are_found_by_what_they_are_about(api: Api) -> None:
    for name in ("w-1", "w-2"):
        await started(api, name)
        await api.workflows.PublishEvent(publish(name), **by(ADA))
        await api.workflows.CancelWorkflow(cancel(name), **by(BOB))
    await refusal(api.workflows.CancelWorkflow(cancel("w-1", expected_version=9), **by(ADA)))
    await refused_entries(api)

    def seen(found: list[pb.AuditEntry]) -> list[tuple[str, str]]:
        return [(entry.method, entry.target["workflow_instance_id"]) for entry in found]

    both = [("PublishEvent", "w-2"), ("CancelWorkflow", "w-2")]
    assert seen(await entries(api, target="w-2")) == both
    assert seen(await entries(api, target="w-2", methods=["CancelWorkflow"])) == both[1:]
    assert seen(await entries(api, target="note.added", principal="token:ada")) == [
        ("PublishEvent", "w-1"),
        ("PublishEvent", "w-2"),
    ]
    assert len(await entries(api, principal="jwt:bob")) == 2
    assert len(await entries(api, methods=["CancelWorkflow", "PublishEvent"])) == 5
    assert await entries(api, denied_only=True) == []
    last = (await entries(api))[-1]
    later = await entries(api, from_time=last.occurred_at)
    assert [entry.audit_id for entry in later] == [last.audit_id]
    assert len(await entries(api, to_time=last.occurred_at)) == 4
    assert len(await entries(api, to_time=last.occurred_at, target="w-1")) == 2


@pytest.mark.parametrize("fields", [{}, {"target": "w-1"}, {"methods": ["PublishEvent"]}])
async def test_it_is_read_page_by_page(fields: dict[str, Any], api: Api) -> None:
    await started(api)
    for _ in range(5):
        await api.workflows.PublishEvent(publish("w-1"))
    request = pb.ListAuditRequest(page_size=2, **fields)
    found: list[int] = []
    while True:
        page = await api.audit.ListAudit(request, **by(ADA))
        found += [entry.audit_id for entry in page.entries]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert found == sorted(found, reverse=True)
    assert len(found) == 5


async def test_an_admin_of_a_namespace_sees_only_that_one(api: Api) -> None:
    await started(api)
    await api.workflows.PublishEvent(publish("w-1"), **by(ADA))
    assert len(await entries(api, BOB)) == 1
    assert len(await entries(api, BOB, namespace="default")) == 1
    assert await entries(api, EVE) == []
    other = api.audit.ListAudit(pb.ListAuditRequest(namespace="default"), **by(EVE))
    assert (await refusal(other)).reason == "NAMESPACE_NOT_FOUND"


async def test_a_filter_that_cannot_be_is_refused(api: Api) -> None:
    for fields in ({"principal": "x" * 301}, {"target": "a\0b"}, {"methods": ["x" * 301]}):
        wrong = await refusal(api.audit.ListAudit(pb.ListAuditRequest(**fields), **by(ADA)))
        assert (wrong.reason, wrong.metadata["field"]) == ("INVALID_FIELD", next(iter(fields)))
    wrong = await refusal(api.audit.ListAudit(pb.ListAuditRequest(page_token="x"), **by(ADA)))
    assert wrong.reason == "INVALID_PAGE_TOKEN"
