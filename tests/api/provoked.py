"""Every refusal that an RPC of the API lists, with the request that provokes it.

`REFUSALS` has a row for each, `GOOD` a request of each RPC that is carried out. What they are about is a `World`: some
instances, dead letters and deliveries in the states that refusals are about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from api.refusing_world import (
    BAD_ID,
    HALF,
    LARGE,
    MINUS,
    NAN,
    NOBODY,
    World,
    completion,
    event,
    letter,
    of,
    operation,
    plain,
    registration,
    result,
    run,
    start,
    struct,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from waystation.v1 import audit_service_pb2 as audit_pb
from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import delivery_completion_service_pb2 as completions_pb
from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import namespace_service_pb2 as namespaces_pb
from waystation.v1 import system_service_pb2 as system_pb
from waystation.v1 import token_pb2
from waystation.v1 import token_service_pb2 as tokens_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.history_pb2 import HistoryFilter
from waystation.v1.result_pb2 import TaskFailure, WorkflowCompletion
from waystation.v1.workflow_pb2 import WorkflowFilter


@dataclass(frozen=True)
class Row:
    """One refusal."""

    reason: str
    request: Callable[[World], Message]
    before: Callable[[World], Message] | None = None
    """A call of the same RPC that is carried out first."""
    settings: dict[str, str] = field(default_factory=dict)
    """Of a server of its own."""
    limits: dict[str, int] = field(default_factory=dict)
    """Constants that are set lower meanwhile."""


def reused(made: Callable[..., Any], *args: Any, **other: Any) -> Row:
    """The same request_id with another body."""
    return Row(
        "REQUEST_ID_REUSED",
        made(*args, **other, request_id="r-1"),
        before=made(*args, request_id="r-1"),
    )


# --- the requests ------------------------------------------------------------------------------

wait = of(pb.WaitWorkflowRequest, timeout=Duration())


def item_start(**fields: Any) -> Callable[[World], Any]:
    """The same as an item of a stream."""
    return lambda w: pb.RunWorkflowsItem(item_id=1, start=start(**fields)(w))


def item_wait(**fields: Any) -> Callable[[World], Any]:
    return lambda w: pb.RunWorkflowsItem(item_id=1, wait=wait(**fields)(w))


get = of(pb.GetWorkflowRequest)
workflows = plain(pb.ListWorkflowsRequest)
events = of(pb.ListEventsRequest)
entries = of(pb.ListHistoryRequest)
watch = of(pb.WatchWorkflowRequest, "w-ended")
provide = of(pb.ProvideInputRequest, "w-asks", wait_id="a", input=struct(x=1))
publish = of(pb.PublishEventRequest, event=event())
cancel = of(pb.CancelWorkflowRequest)
explain = of(pb.ExplainWorkflowRequest)
replay = of(pb.ReplayWorkflowRequest)
fork = of(pb.ForkWorkflowRequest, at_sequence=1, event=event())
complete = completion(completions_pb.CompleteDeliveryRequest, result=result())
fail = completion(completions_pb.FailDeliveryRequest, failure=TaskFailure(message="no"))
extend = completion(completions_pb.ExtendDeliveryRequest, extension=Duration(seconds=60))
listed = plain(letters_pb.ListDeadLettersRequest)
counted = plain(letters_pb.CountDeadLettersRequest)
find = plain(pb.FindWorkflowIdsRequest, prefix="e")
retry = letter(letters_pb.RetryDeadLetterRequest)
discard = letter(letters_pb.DiscardDeadLetterRequest)
retry_many = plain(letters_pb.RetryDeadLettersRequest, request_id="r-1")
discard_many = plain(letters_pb.DiscardDeadLettersRequest, request_id="r-1")
register = plain(registration)
renew = plain(handlers_pb.RenewHandlerRequest)
unregister = plain(handlers_pb.UnregisterHandlerRequest)
retire = plain(handlers_pb.RetireTaskRequest, task_id="claim_validator")
handlers = plain(handlers_pb.ListHandlersRequest)
flow = plain(system_pb.GetFlowRequest)
audit = plain(audit_pb.ListAuditRequest)
READS = token_pb2.RoleGrant(namespace="default", roles=[token_pb2.ROLE_READER])
create_token = plain(tokens_pb.CreateTokenRequest, name="deploy", grants=[READS])
tokens = plain(tokens_pb.ListTokensRequest)
revoke = plain(tokens_pb.RevokeTokenRequest, token_id=NOBODY)
create_namespace = plain(namespaces_pb.CreateNamespaceRequest, name="new")
get_namespace = plain(namespaces_pb.GetNamespaceRequest, name="full")
update_namespace = plain(namespaces_pb.UpdateNamespaceRequest, name="slow")
namespaces = plain(namespaces_pb.ListNamespacesRequest)
delete_namespace = plain(namespaces_pb.DeleteNamespaceRequest, name="slow")

FULL = {"WAYSTATION_MAX_BACKLOG": "1"}
FEW_EVENTS = {"WAYSTATION_MAX_EVENTS_PER_WORKFLOW": "1"}

GOOD: dict[str, Callable[[World], Any]] = {
    "StartWorkflow": start(),
    "RunWorkflow": run(),
    "WaitWorkflow": wait(),
    "RunWorkflows": item_start(),
    "GetWorkflow": get(),
    "ListWorkflows": workflows(),
    "FindWorkflowIds": find(),
    "ListEvents": events(),
    "ListHistory": entries(),
    "WatchWorkflow": watch(),
    "ProvideInput": provide(),
    "PublishEvent": publish(),
    "CancelWorkflow": cancel(),
    "ExplainWorkflow": explain(),
    "ReplayWorkflow": replay(),
    "ForkWorkflow": fork(),
    "CompleteDelivery": complete(),
    "FailDelivery": fail(),
    "ExtendDelivery": extend(),
    "ListDeadLetters": listed(),
    "CountDeadLetters": counted(),
    "RetryDeadLetter": retry(),
    "DiscardDeadLetter": discard(),
    "RetryDeadLetters": retry_many(all={}),
    "DiscardDeadLetters": discard_many(all={}),
    "RegisterHandler": register(),
    "RenewHandler": lambda w: handlers_pb.RenewHandlerRequest(handler_id=w.handler),
    "UnregisterHandler": lambda w: handlers_pb.UnregisterHandlerRequest(handler_id=w.handler),
    "RetireTask": retire(),
    "ListHandlers": handlers(),
    "GetSystemStatus": plain(system_pb.GetSystemStatusRequest)(),
    "GetFlow": flow(),
    "ListAudit": audit(),
    "CreateToken": create_token(),
    "ListTokens": tokens(),
    # Revoked by its id alone: there is none in the world, and no test needs one.
    "RevokeToken": revoke(),
    "CreateNamespace": create_namespace(),
    "GetNamespace": get_namespace(),
    "UpdateNamespace": update_namespace(),
    "ListNamespaces": namespaces(),
    "DeleteNamespace": delete_namespace(),
}


def _unknown(made: Callable[..., Any]) -> Row:
    return Row("WORKFLOW_NOT_FOUND", made(workflow_instance_id="nobody"))


def _bad_id(made: Callable[..., Any]) -> Row:
    return Row("INVALID_ID", made(workflow_instance_id=BAD_ID))


def _of_full_namespaces(made: Callable[..., Any]) -> list[Row]:
    return [
        Row("NAMESPACE_LIMIT_REACHED", made(namespace="full")),
        Row("RATE_LIMITED", made(namespace="slow")),
    ]


def _starts(made: Callable[..., Any]) -> list[Row]:
    return [
        Row("INVALID_ID", made(workflow_type="")),
        Row("INVALID_STRUCT", made(data=NAN)),
        Row("INVALID_PRIORITY", made(priority=256)),
        Row("INVALID_FIELD", made(timeout=MINUS)),
        Row("WORKFLOW_ALREADY_EXISTS", made(workflow_instance_id="w-open", data=struct(other=1))),
        reused(made, data=struct(other=1)),
        Row("PAYLOAD_TOO_LARGE", made(payload=LARGE)),
        Row("CONTEXT_TOO_LARGE", made(data=LARGE)),
        Row("BACKLOG_FULL", made(), settings=FULL),
        *_of_full_namespaces(made),
    ]


def _pages(made: Callable[..., Any]) -> list[Row]:
    return [
        Row("INVALID_FIELD", made(page_size=-1)),
        Row("INVALID_PAGE_TOKEN", made(page_token="x")),
    ]


def _bulk(made: Callable[..., Any]) -> list[Row]:
    return [
        Row("INVALID_FIELD", made()),
        Row("INVALID_ID", made(all={}, request_id="")),
        Row("INVALID_EVENT_TYPE", made(filter=DeadLetterFilter(event_types=[BAD_ID]))),
        Row("REQUEST_ID_REUSED", made(all={}), before=made(filter={"task_ids": ["nobody"]})),
    ]


REFUSALS: dict[str, list[Row]] = {
    "StartWorkflow": _starts(start),
    "RunWorkflow": _starts(run),
    "WaitWorkflow": [_bad_id(wait), _unknown(wait), Row("INVALID_FIELD", wait(timeout=MINUS))],
    "RunWorkflows": [
        *_starts(item_start),
        _unknown(item_wait),
        Row(
            "TOO_MANY_CALLS",
            item_start(),
            limits={"waystation_api.workflows.call_streams.MOST_ITEMS": 0},
        ),
    ],
    "GetWorkflow": [_bad_id(get), _unknown(get), Row("INVALID_FIELD", get(at_sequence=99))],
    "ListWorkflows": [
        *_pages(workflows),
        Row("INVALID_ID", workflows(filter=WorkflowFilter(workflow_types=[""]))),
    ],
    "ListEvents": [*_pages(events), _bad_id(events), _unknown(events)],
    "ListHistory": [
        *_pages(entries),
        _bad_id(entries),
        _unknown(entries),
        Row("INVALID_EVENT_TYPE", entries(filter=HistoryFilter(event_types=["a b"]))),
    ],
    "WatchWorkflow": [
        _bad_id(watch),
        _unknown(watch),
        Row("INVALID_FIELD", watch(from_sequence=-1)),
    ],
    "ProvideInput": [
        _bad_id(provide),
        _unknown(provide),
        Row("WORKFLOW_NOT_WAITING", provide(workflow_instance_id="w-open", wait_id="")),
        Row("WAIT_ID_REQUIRED", provide(wait_id="")),
        Row("WORKFLOW_ENDED", provide(workflow_instance_id="w-ended")),
        Row("VERSION_MISMATCH", provide(expected_version=77)),
        Row("INVALID_STRUCT", provide(input=NAN)),
        Row("INVALID_FIELD", provide(input=None)),
        Row("PAYLOAD_TOO_LARGE", provide(input=LARGE)),
        Row("CONTEXT_TOO_LARGE", provide(workflow_instance_id="w-large", input=HALF)),
        Row("PATH_TYPE_MISMATCH", provide(workflow_instance_id="w-nowhere", wait_id="")),
        Row("TOO_MANY_EVENTS", provide(), settings=FEW_EVENTS),
        reused(provide, input=struct(x=2)),
    ],
    "PublishEvent": [
        _bad_id(publish),
        _unknown(publish),
        Row("WORKFLOW_ENDED", publish(workflow_instance_id="w-ended")),
        Row("VERSION_MISMATCH", publish(expected_version=77)),
        Row("INVALID_FIELD", publish(event=None)),
        Row("INVALID_EVENT_TYPE", publish(event=event(event_type=BAD_ID))),
        Row("INVALID_STRUCT", publish(event=event(payload=NAN))),
        Row("INVALID_PRIORITY", publish(event=event(priority=256))),
        Row("RESERVED_EVENT_TYPE", publish(event=event(event_type="workflow.started"))),
        Row("PAYLOAD_TOO_LARGE", publish(event=event(payload=LARGE))),
        Row("TOO_MANY_EVENTS", publish(), settings=FEW_EVENTS),
        Row("BACKLOG_FULL", publish(), settings=FULL),
        reused(publish, event=event(event_type="b")),
    ],
    "CancelWorkflow": [
        _bad_id(cancel),
        _unknown(cancel),
        Row(
            "WORKFLOW_ENDED",
            cancel(workflow_instance_id="over"),
        ),
        Row("VERSION_MISMATCH", cancel(expected_version=77)),
        Row("INVALID_FIELD", cancel(reason="\0")),
        reused(cancel, reason="other"),
    ],
    "ExplainWorkflow": [_bad_id(explain), _unknown(explain)],
    "ReplayWorkflow": [
        _bad_id(replay),
        _unknown(replay),
        Row("INVALID_FIELD", replay(from_sequence=99)),
    ],
    "ForkWorkflow": [
        _bad_id(fork),
        _unknown(fork),
        Row("INVALID_FIELD", fork(at_sequence=99)),
        Row("INVALID_PATH", fork(edits=operation("no/slash", remove={}).operations)),
        Row("INVALID_STRUCT", fork(event=event(payload=NAN))),
        Row("INVALID_EVENT_TYPE", fork(event=event(event_type=BAD_ID))),
        Row("INVALID_PRIORITY", fork(event=event(priority=256))),
        Row("RESERVED_EVENT_TYPE", fork(event=event(event_type="workflow.failed"))),
        Row("WORKFLOW_ALREADY_EXISTS", fork(new_workflow_instance_id="w-asks")),
        Row("PAYLOAD_TOO_LARGE", fork(event=event(payload=LARGE))),
        Row(
            "CONTEXT_TOO_LARGE",
            fork(
                workflow_instance_id="w-large",
                edits=operation("/b", set={"string_value": "x" * 900_000}).operations,
            ),
        ),
        *_of_full_namespaces(fork),
        Row("BACKLOG_FULL", fork(), settings=FULL),
        reused(fork, event=event(event_type="b")),
    ],
    "CompleteDelivery": [
        Row("DELIVERY_NOT_FOUND", complete("over")),
        Row("DELIVERY_NOT_PENDING", complete("in-call")),
        Row("WORKFLOW_ENDED", complete("ended")),
        Row("RESPONSE_INVALID", complete(result=result(waits=[{"message": ""}]))),
        Row("PATH_TYPE_MISMATCH", complete(result=operation("/total", increment=1.0))),
        Row("INVALID_ID", complete(request_id=BAD_ID)),
        Row("INVALID_FIELD", complete("no token")),
        Row("INVALID_EVENT_TYPE", complete(result=result(events=[event(event_type=BAD_ID)]))),
        Row("INVALID_STRUCT", complete(result=result(data=NAN))),
        Row("INVALID_PRIORITY", complete(result=result(events=[event(priority=256)]))),
        Row("INVALID_PATH", complete(result=operation("no/slash", remove={}))),
        Row("PAYLOAD_TOO_LARGE", complete(result=result(events=[event(payload=LARGE)]))),
        Row("CONTEXT_TOO_LARGE", complete(result=result(data_patch=HALF))),
        Row("TOO_MANY_EVENTS", complete(result=result(events=[event()] * 1001))),
        Row(
            "REQUEST_ID_REUSED",
            complete(result=result(complete=WorkflowCompletion()), request_id="r-1"),
            before=complete(request_id="r-1"),
        ),
    ],
    "FailDelivery": [
        Row("DELIVERY_NOT_FOUND", fail("over")),
        Row("DELIVERY_NOT_PENDING", fail("in-call")),
        Row("WORKFLOW_ENDED", fail("ended")),
        Row("INVALID_ID", fail(request_id=BAD_ID)),
        Row("INVALID_FIELD", fail("no token")),
        reused(fail, failure=TaskFailure(message="other")),
    ],
    "ExtendDelivery": [
        Row("DELIVERY_NOT_FOUND", extend("over")),
        Row("DELIVERY_NOT_PENDING", extend("in-call")),
        Row("INVALID_ID", extend(request_id=BAD_ID)),
        Row("INVALID_FIELD", extend("no token")),
        reused(extend, extension=Duration(seconds=61)),
    ],
    "ListDeadLetters": [
        *_pages(listed),
        Row("INVALID_ID", listed(filter=DeadLetterFilter(task_ids=[BAD_ID]))),
        Row("INVALID_EVENT_TYPE", listed(filter=DeadLetterFilter(event_types=[BAD_ID]))),
    ],
    "CountDeadLetters": [
        Row("INVALID_ID", counted(filter=DeadLetterFilter(task_ids=[BAD_ID]))),
        Row("INVALID_EVENT_TYPE", counted(filter=DeadLetterFilter(event_types=[BAD_ID]))),
        Row("INVALID_FIELD", counted(filter=DeadLetterFilter(id_prefix="x"))),
    ],
    "FindWorkflowIds": [
        Row("INVALID_ID", find(prefix="")),
        Row("INVALID_FIELD", find(limit=-1)),
    ],
    "RetryDeadLetter": [
        Row("DEAD_LETTER_NOT_FOUND", retry(NOBODY)),
        Row("DEAD_LETTER_RESOLVED", retry("discarded")),
        Row("WORKFLOW_ENDED", retry("of_ended")),
        Row("INVALID_STRUCT", retry(payload=NAN)),
        Row("INVALID_FIELD", retry("")),
        Row("INVALID_ID", retry(request_id=BAD_ID)),
        Row("PAYLOAD_TOO_LARGE", retry(payload=LARGE)),
        reused(retry, payload=struct(x=1)),
    ],
    "DiscardDeadLetter": [
        Row("DEAD_LETTER_NOT_FOUND", discard(NOBODY)),
        Row("DEAD_LETTER_RESOLVED", discard("discarded")),
        Row("INVALID_FIELD", discard("")),
        Row("INVALID_ID", discard(request_id=BAD_ID)),
        Row(
            "REQUEST_ID_REUSED",
            discard("of_ended", request_id="r-1"),
            before=discard(request_id="r-1"),
        ),
    ],
    "RetryDeadLetters": _bulk(retry_many),
    "DiscardDeadLetters": _bulk(discard_many),
    "RegisterHandler": [
        Row("INVALID_ID", register(service_name="")),
        Row("INVALID_EVENT_TYPE", register(spec={"event_types": [BAD_ID]})),
        Row("INVALID_FIELD", register(port=0)),
        Row("INVALID_PATH", register(spec={"reads": {"paths": ["no/slash"]}})),
        Row("WORKFLOW_TYPES_REQUIRED", register(spec={"workflow_types": []})),
        Row("TASK_OWNED_BY_OTHER_SERVICE", register(service_name="others", port=7501)),
        Row("ENDPOINT_NOT_ALLOWED", register(host="10.9.9.9")),
        Row("TOO_MANY_HANDLERS", register(port=7501), settings={"WAYSTATION_MAX_HANDLERS": "1"}),
        Row(
            "PAYLOAD_TOO_LARGE",
            register(spec={"reads": {"paths": [f"/{at}/{'x' * 600_000}" for at in range(2)]}}),
        ),
        reused(register, port=7501),
    ],
    "RenewHandler": [
        Row("HANDLER_NOT_FOUND", renew(handler_id=NOBODY)),
        Row("INVALID_ID", renew(handler_id="")),
    ],
    "UnregisterHandler": [Row("INVALID_ID", unregister(handler_id=""))],
    "RetireTask": [
        Row("INVALID_ID", retire(task_id="")),
        Row("TASK_NOT_FOUND", retire(task_id="nobody")),
        reused(retire, task_id="other"),
    ],
    "ListHandlers": [*_pages(handlers), Row("INVALID_ID", handlers(service_name=BAD_ID))],
    "GetSystemStatus": [],
    "GetFlow": [
        Row("INVALID_ID", flow(workflow_type=BAD_ID)),
        Row("INVALID_FIELD", flow(max_instances=-1)),
    ],
    "CreateToken": [
        Row("INVALID_ID", create_token(name=BAD_ID)),
        Row("INVALID_FIELD", create_token(grants=[])),
        Row("TOKEN_ALREADY_EXISTS", create_token(), before=create_token()),
    ],
    "ListTokens": _pages(tokens),
    "RevokeToken": [Row("INVALID_ID", revoke(token_id="x")), Row("TOKEN_NOT_FOUND", revoke())],
    "ListAudit": [*_pages(audit), Row("INVALID_FIELD", audit(target="x" * 301))],
    "CreateNamespace": [
        Row("INVALID_ID", create_namespace(name="No")),
        Row("INVALID_FIELD", create_namespace(limits={"max_in_flight": 0})),
        Row("NAMESPACE_ALREADY_EXISTS", create_namespace(name="full")),
    ],
    "GetNamespace": [
        Row("INVALID_ID", get_namespace(name="")),
    ],
    "UpdateNamespace": [
        Row("INVALID_ID", update_namespace(name="-")),
        Row("INVALID_FIELD", update_namespace(description="x" * 1_001)),
    ],
    "ListNamespaces": _pages(namespaces),
    "DeleteNamespace": [
        Row("INVALID_ID", delete_namespace(name="")),
        Row("NAMESPACE_NOT_EMPTY", delete_namespace(name="default")),
    ],
}
