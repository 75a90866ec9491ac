"""An API that answers from memory: one of every thing that the command line can show.

It keeps the requests it got, so that a test sees what a command sent, and refuses whatever
`refusals` names, the way the real server does: status, message, ErrorInfo in the trailer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from support.certificates import Ended

from waystation.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    blocker_pb2,
    dead_letter_pb2,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    event_pb2,
    flow_pb2,
    handler_pb2,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    history_pb2,
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    replay_pb2,
    system_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
    token_pb2,
    token_service_pb2,
    token_service_pb2_grpc,
    wait_pb2,
    workflow_pb2,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)
from waystation.v1 import status_pb2 as workflow_status_pb2
from waystation_tls import ServerCredentials

STARTED, PROCESSED, ASKED, ANSWERED, LOST = (f"event-{number}" for number in range(1, 6))
HOSTILE = "\x1b[2Jno such plate [bold]"


def at(seconds: float) -> Timestamp:
    result = Timestamp()
    result.FromMilliseconds(1_790_000_000_000 + int(seconds * 1000))
    return result


def namespace() -> namespace_service_pb2.Namespace:
    return namespace_service_pb2.Namespace(
        name="acme",
        description="A shop",
        limits={"max_open_workflows": 1_000, "max_starts_per_second": 50},
    )


def token(**members: Any) -> token_pb2.Token:
    grants = [
        token_pb2.RoleGrant(namespace="*", roles=[token_pb2.ROLE_HANDLER, token_pb2.ROLE_READER])
    ]
    return token_pb2.Token(
        **{
            "token_id": "token-1",
            "name": "deploy",
            "grants": grants,
            "service_names": ["claims"],
            "created_at": at(0),
            "created_by": "key:ops",
            "expires_at": at(3_600),
            **members,
        }
    )


def struct(**members: Any) -> Struct:
    result = Struct()
    result.update(members)
    return result


def value(content: Any) -> Value:
    return json_format.ParseDict(content, Value())


def context(status: str = "ACTIVE", **fields: Any) -> workflow_pb2.WorkflowContext:
    return workflow_pb2.WorkflowContext(
        workflow_instance_id="claim-7",
        workflow_type="claim",
        status=workflow_status_pb2.WorkflowStatus.Value(f"WORKFLOW_STATUS_{status}"),
        created_at=at(0),
        updated_at=at(3),
        version=6,
        **fields,
    )


def waits(*wait_ids: str) -> list[wait_pb2.WorkflowWait]:
    return [
        wait_pb2.WorkflowWait(
            wait_id=wait_id, task_id="user_input_required", message="Which plate?", since=at(1)
        )
        for wait_id in wait_ids
    ]


def history() -> list[history_pb2.HistoryEntry]:
    entry = history_pb2.HistoryEntry
    failed = history_pb2.AttemptError(code="TASK_FAILURE", reason="NO_PLATE", message=HOSTILE)
    called = {
        "service_name": "claims",
        "endpoint": "127.0.0.1:7500",
        "duration": Duration(nanos=12_000_000),
    }
    return [
        entry(
            sequence=1,
            event_id=STARTED,
            event_type="workflow.started",
            processed_at=at(0),
            processed_by="client",
            action="start",
            result="HISTORY_RESULT_SUCCESS",
            raised_event_ids=[STARTED],
        ),
        entry(
            sequence=2,
            event_id=STARTED,
            event_type="workflow.started",
            processed_at=at(1),
            processed_by="claim_processor",
            result="HISTORY_RESULT_FAILED",
            attempt=1,
            will_retry=True,
            next_attempt_at=at(2),
            error=failed,
            **called,
        ),
        entry(
            sequence=3,
            event_id=STARTED,
            event_type="workflow.started",
            processed_at=at(2),
            processed_by="claim_processor",
            result="HISTORY_RESULT_SUCCESS",
            attempt=2,
            raised_event_ids=[PROCESSED],
            **called,
        ),
        entry(
            sequence=4,
            event_id=PROCESSED,
            event_type="claim.processed",
            processed_at=at(2.5),
            processed_by="user_input_required",
            result="HISTORY_RESULT_SUCCESS",
            attempt=1,
            opened_wait_ids=["w-1"],
            **called,
        ),
        entry(
            sequence=5,
            event_id=ANSWERED,
            event_type="user.input.provided",
            processed_at=at(3),
            processed_by="client",
            action="input",
            wait_id="w-1",
            answered_by="Ada",
            raised_event_ids=[ANSWERED],
        ),
        entry(
            sequence=6,
            event_id=ANSWERED,
            event_type="user.input.provided",
            processed_at=at(3),
            processed_by="system",
            result="HISTORY_RESULT_UNHANDLED",
        ),
    ]


def events() -> list[event_pb2.EventWithState]:
    def entry(
        event_id: str, event_type: str, causation_id: str, state: str = "SETTLED"
    ) -> event_pb2.EventWithState:
        return event_pb2.EventWithState(
            event=event_pb2.WorkflowEvent(
                event_id=event_id,
                event_type=event_type,
                causation_id=causation_id,
                created_at=at(1),
            ),
            state=event_pb2.EventState.Value(f"EVENT_STATE_{state}"),
        )

    return [
        entry(STARTED, "workflow.started", ""),
        entry(PROCESSED, "claim.processed", STARTED),
        entry(ANSWERED, "user.input.provided", "", "UNHANDLED"),
        entry(LOST, "claim.orphaned", "an-event-that-is-not-there", "PENDING"),
    ]


def dead_letter(dead_letter_id: str = "dl-1") -> dead_letter_pb2.DeadLetter:
    return dead_letter_pb2.DeadLetter(
        dead_letter_id=dead_letter_id,
        event=events()[1].event,
        task_id="claim_validator",
        workflow_instance_id="claim-7",
        workflow_type="claim",
        attempts=5,
        error=history_pb2.AttemptError(code="INVALID_ARGUMENT", message="amount is absurd"),
        state=dead_letter_pb2.DEAD_LETTER_STATE_OPEN,
        created_at=at(3),
        retryable=True,
    )


def handler() -> handler_pb2.Handler:
    return handler_pb2.Handler(
        handler_id="handler-1",
        service_name="claims",
        service_version="1.2",
        host="::1",
        port=7500,
        kind=handler_pb2.REGISTRATION_KIND_STATIC,
        tasks=[
            handler_pb2.TaskSpec(
                task_id="claim_validator", event_types=["claim.*"], workflow_types=["claim"]
            )
        ],
        reachable=False,
        last_error="connection refused",
        retired_task_ids=["claim_validator"],
    )


def replay_steps() -> list[replay_pb2.ReplayStep]:
    """One of each outcome."""
    step, other = replay_pb2.ReplayStep, replay_pb2.ReplayDifference
    return [
        step(
            sequence=3,
            task_id="claim_processor",
            event_type="workflow.started",
            attempt=2,
            outcome="REPLAY_OUTCOME_DIFFERS",
            differs=True,
            differences=[
                other(path="/amount", recorded=value(120), replayed=value(100)),
                other(path="/rebate", replayed=value(20)),
            ],
            event_differences=[
                replay_pb2.ReplayEventDifference(
                    event_type="claim.processed",
                    recorded_index=0,
                    replayed_index=1,
                    differences=[other(path="/payload/amount", recorded=value(120))],
                ),
                replay_pb2.ReplayEventDifference(
                    event_type="claim.audited",
                    replayed_index=0,
                    differences=[other(path="", replayed=value({"payload": {"by": HOSTILE}}))],
                ),
            ],
            recorded_service_version="1",
            replayed_service_version="2",
        ),
        step(
            sequence=4,
            task_id="user_input_required",
            event_type="claim.processed",
            attempt=1,
            outcome="REPLAY_OUTCOME_SKIPPED",
            skip_reason="REPLAY_SKIP_REASON_NOT_REPLAYABLE",
            skip_message="the task is not registered as replayable",
        ),
    ]


def flow() -> flow_pb2.WorkflowFlow:
    """One of every node and edge that a picture shows."""
    origin = flow_pb2.FlowOrigin
    return flow_pb2.WorkflowFlow(
        workflow_type="claim",
        instances=3,
        tasks=[
            flow_pb2.FlowTask(task_id="claim_processor", spec={"task_id": "x"}, live=True),
            flow_pb2.FlowTask(task_id="claim_validator", spec={"task_id": "x"}),
            flow_pb2.FlowTask(task_id="old"),
        ],
        events=[
            flow_pb2.FlowEvent(event_type="claim.#", raised=0),
            flow_pb2.FlowEvent(event_type="claim.procesed", raised=4, unhandled=4),
            flow_pb2.FlowEvent(event_type="claim.processed", raised=2, skipped=1),
            flow_pb2.FlowEvent(event_type="workflow.completed", raised=2, unhandled=2),
            flow_pb2.FlowEvent(event_type="workflow.started", raised=3),
        ],
        raises=[
            flow_pb2.FlowRaise(raised_by=by, event_type=event, origin=origin.Value(known), count=n)
            for by, event, known, n in (
                ("claim_processor", "claim.#", "FLOW_ORIGIN_DECLARED", 0),
                ("claim_processor", "claim.procesed", "FLOW_ORIGIN_OBSERVED", 4),
                ("claim_processor", "claim.processed", "FLOW_ORIGIN_OBSERVED", 2),
                ("client", "workflow.started", "FLOW_ORIGIN_BOTH", 3),
                ("old", "workflow.completed", "FLOW_ORIGIN_OBSERVED", 2),
            )
        ],
        handlings=[
            flow_pb2.FlowHandling(
                event_type=event, task_id=task, origin=origin.Value(known), **counts
            )
            for event, task, known, counts in (
                ("claim.#", "claim_validator", "FLOW_ORIGIN_DECLARED", {}),
                ("claim.processed", "claim_validator", "FLOW_ORIGIN_DECLARED", {}),
                ("claim.processed", "old", "FLOW_ORIGIN_OBSERVED", {"succeeded": 1}),
                (
                    "workflow.started",
                    "claim_processor",
                    "FLOW_ORIGIN_BOTH",
                    {"succeeded": 2, "failed_attempts": 6, "dead_letters": 1, "skipped": 1},
                ),
            )
        ],
    )


def finding(severity: str = "ERROR") -> flow_pb2.FlowFinding:
    return flow_pb2.FlowFinding(
        severity=f"FLOW_SEVERITY_{severity}",
        rule="FLOW_RULE_EMITTED_UNHANDLED",
        workflow_types=["claim"],
        subjects=["claim.procesed"],
        message="`claim.procesed` is raised; did you mean `claim.processed`?",
        remedy="Raise `claim.processed` instead.",
        suggestion="claim.processed",
    )


def explanation() -> workflow_service_pb2.ExplainWorkflowResponse:
    return workflow_service_pb2.ExplainWorkflowResponse(
        context=context(),
        summary="It waits for one delivery.",
        blockers=[
            blocker_pb2.Blocker(
                kind=blocker_pb2.BLOCKER_KIND_NO_LIVE_ENDPOINT,
                since=at(1),
                message="No endpoint of claims is alive.",
                remedy="Start a handler of the service claims.",
                event_id=PROCESSED,
                event_type="claim.processed",
                task_id="claim_validator",
                service_name="claims",
                last_error=history_pb2.AttemptError(code="UNAVAILABLE", message="refused"),
            )
        ],
        blockers_left_out=7,
    )


class FakeApi(
    workflow_service_pb2_grpc.WorkflowServiceServicer,
    dead_letter_service_pb2_grpc.DeadLetterServiceServicer,
    handler_registry_service_pb2_grpc.HandlerRegistryServiceServicer,
    token_service_pb2_grpc.TokenServiceServicer,
    system_service_pb2_grpc.SystemServiceServicer,
    audit_service_pb2_grpc.AuditServiceServicer,
    namespace_service_pb2_grpc.NamespaceServiceServicer,
):
    """`requests` by RPC name, the latest; `outcomes` are given by waits one after the other, the
    last again and again, and a run never ends while `hold_waits`; a watch breaks
    once before each entry of `breaks`; `refusals` by RPC name: code, reason, message, metadata."""

    def __init__(self) -> None:
        self.requests: dict[str, Any] = {}
        self.tokens: list[str | None] = []
        """What each call carried."""
        self.certificates: list[system_pb2.CertificateStatus] = []
        self.calls: list[str] = []
        self.received: list[tuple[str, Any]] = []
        """Every request in the order in which it came."""
        self.outcomes: list[tuple[str, workflow_pb2.WorkflowContext]] = []
        self.refusals: dict[str, tuple[grpc.StatusCode, str, str, dict[str, str]]] = {}
        self.refused_after: dict[str, int] = {}
        """So many calls are answered before the refusals begin."""
        self.explained = explanation()
        self.router_id = "router-1"
        self.workflows = 3
        self.generated: list[str] = []
        """Ids of the workflows that are listed, instead of `claim-0` and the following."""
        self.flows = [flow()]
        self.findings = [finding("WARNING"), finding("INFO")]
        self.hold_waits = False
        self.created = True
        self.asked = waits("w-1")
        self.asked_of: dict[str, list[wait_pb2.WorkflowWait]] = {}
        """What a workflow asks, where it is not `asked`."""
        self.hold_bulk = False
        self.hold_watch = False
        self.answered_start = ""
        """The request id of the only start that is answered; empty: all are."""
        self.arrived = threading.Event()
        self.letters = [dead_letter()]
        self.known = ["claim-7"]
        self.left = [3]
        """Retryable dead letters, or deliveries to retire, at one count after the other."""
        self.ended_at: Timestamp | None = None
        self.steps = replay_steps()
        self.breaks: list[int] = []
        self.address = ""

    def _take(self, rpc: str, request: Message, call: grpc.ServicerContext) -> None:
        self.requests[rpc] = request
        # Views are shown without a call, too.
        sent = dict(call.invocation_metadata() if call else ()).get("authorization")
        self.tokens.append(None if sent is None else sent.removeprefix("Bearer "))
        self.calls.append(rpc)
        self.received.append((rpc, request))
        if rpc in self.refusals and self.calls.count(rpc) > self.refused_after.get(rpc, 0):
            code, reason, message, metadata = self.refusals[rpc]
            detail = AnyMessage()
            detail.Pack(
                error_details_pb2.ErrorInfo(reason=reason, domain="waystation", metadata=metadata)
            )
            call.abort_with_status(
                rpc_status.to_status(
                    status_pb2.Status(code=code.value[0], message=message, details=[detail])
                )
            )

    def _hold_bulk(self, call: grpc.ServicerContext) -> None:
        if self.hold_bulk:
            self._hold(call)

    def _hold(self, call: grpc.ServicerContext) -> None:
        ended = threading.Event()
        if call.add_callback(ended.set):
            self.arrived.set()
            ended.wait()

    def _outcome(self) -> tuple[str, workflow_pb2.WorkflowContext]:
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    def StartWorkflow(self, request, call):
        self._take("StartWorkflow", request, call)
        if self.answered_start not in ("", request.request_id):
            self._hold(call)
        return workflow_service_pb2.StartWorkflowResponse(
            context=context(data=request.data), created=self.created, task_ids=["claim_processor"]
        )

    def RunWorkflow(self, request, call):
        self._take("RunWorkflow", request, call)
        call.send_initial_metadata(
            (
                ("waystation-workflow-instance-id", "claim-7"),
                ("waystation-workflow-created", "true" if self.created else "false"),
            )
        )
        if self.hold_waits:
            ended = threading.Event()
            if call.add_callback(ended.set):
                ended.wait()
            return workflow_service_pb2.RunWorkflowResponse()
        outcome, now = self._outcome()
        return workflow_service_pb2.RunWorkflowResponse(
            context=now, outcome=outcome, created=self.created
        )

    def WaitWorkflow(self, request, call):
        self._take("WaitWorkflow", request, call)
        outcome, now = self._outcome()
        return workflow_service_pb2.WaitWorkflowResponse(context=now, outcome=outcome)

    def GetWorkflow(self, request, call):
        self._take("GetWorkflow", request, call)
        if request.at_sequence:
            return workflow_service_pb2.GetWorkflowResponse(
                context=context(data=struct(amount=100 + request.at_sequence, plates=["B-X 1"]))
            )
        return workflow_service_pb2.GetWorkflowResponse(
            context=context(
                "FAILED",
                waits=self.asked_of.get(request.workflow_instance_id, self.asked),
                data=struct(plate="B-X 1", amount=120),
                failure=workflow_pb2.WorkflowFailure(
                    reason="NO_PLATE", message="never found", task_id="claim_validator"
                ),
                output=struct(paid=False),
                completed_at=self.ended_at,
            )
        )

    def ListWorkflows(self, request, call):
        self._take("ListWorkflows", request, call)
        first = int(request.page_token or 0)
        last = min(self.workflows, first + min(request.page_size, len(self.generated) or 2))
        page = [context() for _ in range(first, last)]
        for number, each in enumerate(page, first):
            each.workflow_instance_id = (
                self.generated[number] if self.generated else f"claim-{number}"
            )
            if request.filter.statuses == [workflow_status_pb2.WORKFLOW_STATUS_WAITING_FOR_INPUT]:
                each.waits.extend(self.asked)
        return workflow_service_pb2.ListWorkflowsResponse(
            workflows=page, next_page_token=str(last) if last < self.workflows else ""
        )

    def FindWorkflowIds(self, request, call):
        self._take("FindWorkflowIds", request, call)
        found = [name for name in self.known if name.startswith(request.prefix)]
        return workflow_service_pb2.FindWorkflowIdsResponse(workflow_instance_ids=found)

    def ListEvents(self, request, call):
        self._take("ListEvents", request, call)
        return workflow_service_pb2.ListEventsResponse(events=events())

    def ListHistory(self, request, call):
        self._take("ListHistory", request, call)
        first = int(request.page_token or 0)
        page = history()[first : first + 4]
        return workflow_service_pb2.ListHistoryResponse(
            entries=page, next_page_token="4" if not first else ""
        )

    def WatchWorkflow(self, request, call):
        self._take("WatchWorkflow", request, call)
        for entry in history()[max(request.from_sequence, 1) - 1 :]:
            if entry.sequence in self.breaks:
                self.breaks.remove(entry.sequence)
                call.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")
            yield workflow_service_pb2.WatchWorkflowResponse(
                heartbeat=workflow_service_pb2.WatchHeartbeat(version=6)
            )
            yield workflow_service_pb2.WatchWorkflowResponse(history_entry=entry)
        if self.hold_watch:
            ended = threading.Event()
            if call.add_callback(ended.set):
                ended.wait()

    def ProvideInput(self, request, call):
        self._take("ProvideInput", request, call)
        return workflow_service_pb2.ProvideInputResponse(context=context(), event_id=ANSWERED)

    def PublishEvent(self, request, call):
        self._take("PublishEvent", request, call)
        return workflow_service_pb2.PublishEventResponse(event_id="event-9")

    def CancelWorkflow(self, request, call):
        self._take("CancelWorkflow", request, call)
        return workflow_service_pb2.CancelWorkflowResponse(context=context("CANCELLED"))

    def ExplainWorkflow(self, request, call):
        self._take("ExplainWorkflow", request, call)
        return self.explained

    def ReplayWorkflow(self, request, call):
        self._take("ReplayWorkflow", request, call)
        steps = [step for step in self.steps if step.sequence >= request.from_sequence]
        following = steps[1].sequence if len(steps) > 1 else 0
        return workflow_service_pb2.ReplayWorkflowResponse(
            steps=steps[:1], next_from_sequence=following
        )

    def ForkWorkflow(self, request, call):
        self._take("ForkWorkflow", request, call)
        forked = context()
        forked.workflow_instance_id = request.new_workflow_instance_id
        return workflow_service_pb2.ForkWorkflowResponse(
            context=forked,
            created=True,
            event_type="claim.processed",
            task_ids=["claim_validator"],
        )

    def ListAudit(self, request, call):
        self._take("ListAudit", request, call)
        denied = audit_service_pb2.AuditEntry(
            audit_id=8,
            occurred_at=at(60),
            method="DiscardDeadLetters",
            peer="10.0.0.66",
            code="UNAUTHENTICATED",
            reason="UNAUTHENTICATED",
            calls=1200,
        )
        refused = audit_service_pb2.AuditEntry(
            audit_id=7,
            occurred_at=at(30),
            principal=f"jwt:{HOSTILE}",
            method="CancelWorkflow",
            target={"workflow_instance_id": "claim-9"},
            code="NOT_FOUND",
            reason="WORKFLOW_NOT_FOUND",
            calls=1,
        )
        done = audit_service_pb2.AuditEntry(
            audit_id=6,
            occurred_at=at(0),
            principal="token:deploy",
            peer="10.0.0.7",
            namespace="default",
            method="RegisterHandler",
            target={"service_name": "claims", "host": "10.0.0.9"},
            request_id="r-1",
            code="OK",
            calls=1,
        )
        return audit_service_pb2.ListAuditResponse(entries=[denied, refused, done])

    def GetSystemStatus(self, request, call):
        self._take("GetSystemStatus", request, call)
        return system_service_pb2.GetSystemStatusResponse(
            certificates=self.certificates,
            server_version="0.1.0",
            routers=[
                system_pb2.RouterStatus(
                    router_id=self.router_id,
                    pool="default",
                    host="here:42",
                    started_at=at(0),
                    lease_remaining=Duration(seconds=9),
                    results_committed=17,
                )
            ],
            queues=[
                system_pb2.QueueStatus(
                    name="waystation.router.default", messages_ready=4, pool="default", routers=1
                ),
                system_pb2.QueueStatus(
                    name="waystation.router.fraud",
                    pool="fraud",
                    bindings=["fraud.#"],
                    no_router_since=at(0),
                    lapses_at=at(300),
                ),
            ],
            outbox_size=5,
            oldest_unsettled_event_age=Duration(seconds=90),
            oldest_unsettled_event_id=LOST,
            oldest_unsettled_workflow_instance_id="claim-7",
            workflows_by_status={"ACTIVE": 2},
            workflows_estimated=True,
            handlers=2,
            unreachable_handlers=1,
            broker_connected=True,
        )

    def GetFlow(self, request, call):
        self._take("GetFlow", request, call)
        return system_service_pb2.GetFlowResponse(
            flows=self.flows, findings=self.findings, instances=3, looked_back_to=at(0)
        )

    def CreateNamespace(self, request, call):
        self._take("CreateNamespace", request, call)
        return namespace_service_pb2.CreateNamespaceResponse(namespace=namespace())

    def GetNamespace(self, request, call):
        self._take("GetNamespace", request, call)
        usage = namespace_service_pb2.NamespaceUsage(
            open_workflows=3, workflows=1_200, stored_bytes=5_000_000, handlers=2
        )
        return namespace_service_pb2.GetNamespaceResponse(namespace=namespace(), usage=usage)

    def UpdateNamespace(self, request, call):
        self._take("UpdateNamespace", request, call)
        changed = namespace()
        changed.limits.CopyFrom(request.limits)
        return namespace_service_pb2.UpdateNamespaceResponse(namespace=changed)

    def ListNamespaces(self, request, call):
        self._take("ListNamespaces", request, call)
        unlimited = namespace_service_pb2.Namespace(name="default")
        return namespace_service_pb2.ListNamespacesResponse(namespaces=[namespace(), unlimited])

    def DeleteNamespace(self, request, call):
        self._take("DeleteNamespace", request, call)
        return namespace_service_pb2.DeleteNamespaceResponse()

    def CreateToken(self, request, call):
        self._take("CreateToken", request, call)
        return token_service_pb2.CreateTokenResponse(token=token(), secret="wst_secret")

    def ListTokens(self, request, call):
        self._take("ListTokens", request, call)
        ended = [token(token_id="token-2", name="old", revoked_at=at(60))]
        return token_service_pb2.ListTokensResponse(
            tokens=[token(), *(ended if request.with_ended else [])]
        )

    def RevokeToken(self, request, call):
        self._take("RevokeToken", request, call)
        return token_service_pb2.RevokeTokenResponse(token=token(revoked_at=at(60)))

    def ListHandlers(self, request, call):
        self._take("ListHandlers", request, call)
        return handler_registry_service_pb2.ListHandlersResponse(handlers=[handler()])

    def RegisterHandler(self, request, call):
        self._take("RegisterHandler", request, call)
        return handler_registry_service_pb2.RegisterHandlerResponse(
            handler=handler(), caught_up_events=2
        )

    def UnregisterHandler(self, request, call):
        self._take("UnregisterHandler", request, call)
        return handler_registry_service_pb2.UnregisterHandlerResponse()

    def RetireTask(self, request, call):
        self._take("RetireTask", request, call)
        if request.dry_run:
            deliveries = self.left.pop(0) if len(self.left) > 1 else self.left[0]
            return handler_registry_service_pb2.RetireTaskResponse(retired_deliveries=deliveries)
        self._hold_bulk(call)
        return handler_registry_service_pb2.RetireTaskResponse(retired_deliveries=2)

    def ListDeadLetters(self, request, call):
        self._take("ListDeadLetters", request, call)
        return dead_letter_service_pb2.ListDeadLettersResponse(dead_letters=self.letters)

    def CountDeadLetters(self, request, call):
        self._take("CountDeadLetters", request, call)
        left = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return dead_letter_service_pb2.CountDeadLettersResponse(
            count=left + 1,
            retryable=left,
            workflows=2,
            groups=[
                dead_letter_pb2.DeadLetterGroup(
                    task_id="claim_validator",
                    reason="BAD_PART",
                    count=left + 1,
                    retryable=left,
                    workflows=2,
                    first_created_at=at(0),
                    last_created_at=at(3),
                )
            ],
        )

    def RetryDeadLetter(self, request, call):
        self._take("RetryDeadLetter", request, call)
        return dead_letter_service_pb2.RetryDeadLetterResponse(
            dead_letter=dead_letter(request.dead_letter_id), context=context()
        )

    def DiscardDeadLetter(self, request, call):
        self._take("DiscardDeadLetter", request, call)
        return dead_letter_service_pb2.DiscardDeadLetterResponse(
            dead_letter=dead_letter(request.dead_letter_id), context=context("FAILED")
        )

    def RetryDeadLetters(self, request, call):
        self._take("RetryDeadLetters", request, call)
        self._hold_bulk(call)
        return dead_letter_service_pb2.RetryDeadLettersResponse(retried=3)

    def DiscardDeadLetters(self, request, call):
        self._take("DiscardDeadLetters", request, call)
        return dead_letter_service_pb2.DiscardDeadLettersResponse(discarded=1)


@contextmanager
def serving(api: FakeApi, tls: ServerCredentials | Ended | None = None) -> Iterator[FakeApi]:
    """Serves it on a free loopback port, named by its `address`."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(api, server)
    dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(api, server)
    handler_registry_service_pb2_grpc.add_HandlerRegistryServiceServicer_to_server(api, server)
    token_service_pb2_grpc.add_TokenServiceServicer_to_server(api, server)
    system_service_pb2_grpc.add_SystemServiceServicer_to_server(api, server)
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(api, server)
    namespace_service_pb2_grpc.add_NamespaceServiceServicer_to_server(api, server)
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", tls.of_grpc())
    api.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield api
    finally:
        server.stop(None).wait()
