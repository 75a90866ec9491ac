"""Every command against a server: what it sends, what a person reads, what a script reads."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.fake_api import HOSTILE, FakeApi, context, struct, waits
from google.protobuf.json_format import MessageToDict
from rich.console import Console

from waystation.v1 import history_pb2, workflow_pb2
from waystation.v1.handler_pb2 import Handler
from waystation.v1.history_pb2 import AttemptError
from waystation_cli import command_table
from waystation_cli.render.endpoints import endpoint_table
from waystation_cli.render.text import error_text

# Each command with what it must have sent, what a person must find, and what a script must find.
COMMANDS = {
    "start": (
        [
            "start", "claim", "--data", '{"amount": 120}', "--payload", '{"text": "crash"}',
            "--id", "claim-7", "--correlation-id", "case-1", "--priority", "200",
            "--metadata", "traceparent=00-1", "--workflow-timeout", "2h", "--request-id", "r-1",
        ],
        "StartWorkflow",
        {
            "workflow_type": "claim", "data": {"amount": 120}, "payload": {"text": "crash"},
            "workflow_instance_id": "claim-7", "correlation_id": "case-1", "priority": 200,
            "metadata": {"traceparent": "00-1"}, "timeout": "7200s", "request_id": "r-1",
        },
        ["Started claim-7", "claim_processor"],
        lambda said: said["context"]["data"] == {"amount": 120} and said["created"] is True,
    ),
    "list": (
        ["list", "--type", "claim", "--type", "order", "--status", "active", "--status", "FAILED",
         "--idle"],
        "ListWorkflows",
        {
            "filter": {
                "workflow_types": ["claim", "order"], "idle": True,
                "statuses": ["WORKFLOW_STATUS_ACTIVE", "WORKFLOW_STATUS_FAILED"],
            },
        },
        ["claim-0", "claim-1", "claim-2", "ACTIVE"],
        lambda said: [each["workflow_instance_id"] for each in said["items"]]
        == ["claim-0", "claim-1", "claim-2"] and said["more"] is False,
    ),
    "show": (
        ["show", "claim-7", "--data"],
        "GetWorkflow",
        {"workflow_instance_id": "claim-7"},
        ["claim-7", "Attempts", "NO_PLATE", '"plate"', "dead-letters retry dl-1", "never found"],
        lambda said: len(said["history"]) == 6
        and [each["state"] for each in said["events"]].count("PENDING") == 1
        and said["dead_letters"][0]["dead_letter_id"] == "dl-1",
    ),
    "input": (
        ["input", "claim-7", "--data", '{"plate": "B-X 1"}', "--wait-id", "w-1",
         "--expected-version", "6"],
        "ProvideInput",
        {
            "workflow_instance_id": "claim-7", "input": {"plate": "B-X 1"}, "wait_id": "w-1",
            "expected_version": 6,
        },
        ["claim-7 is ACTIVE"],
        lambda said: said["event_id"] == "event-4",
    ),
    "inbox": (
        ["inbox", "--type", "claim", "--limit", "2"],
        "ListWorkflows",
        {"filter": {"workflow_types": ["claim"], "statuses": ["WORKFLOW_STATUS_WAITING_FOR_INPUT"]}},
        ["claim-0 (claim)", "user_input_required asks: Which plate?",
         "answer: waystation input claim-1"],
        lambda said: [each["wait"]["wait_id"] for each in said["items"]] == ["w-1", "w-1"]
        and said["more"] is True,
    ),
    "publish": (
        ["publish", "claim-7", "claim.amended", "--data", '{"n": 1}', "--priority", "0",
         "--delay", "1.5s", "--expires-at", "2030-01-01T12:00:00Z"],
        "PublishEvent",
        {
            "workflow_instance_id": "claim-7",
            "event": {
                "event_type": "claim.amended", "payload": {"n": 1}, "priority": 0,
                "delay": "1.500s", "expires_at": "2030-01-01T12:00:00Z",
            },
        },
        ["Raised claim.amended as event-9", "No task handles claim.amended"],
        lambda said: said == {"event_id": "event-9", "task_ids": []},
    ),
    "cancel": (
        ["cancel", "claim-7", "--reason", "withdrawn"],
        "CancelWorkflow",
        {"workflow_instance_id": "claim-7", "reason": "withdrawn"},
        ["claim-7 is CANCELLED"],
        lambda said: said["context"]["status"] == "CANCELLED",
    ),
    "fork": (
        ["fork", "claim-7", "--at", "3", "--id", "claim-8", "--set", "/amount=100",
         "--set", '/by="me"', "--remove", "/plate", "--event", "claim.processed",
         "--payload", '{"n": 1}'],
        "ForkWorkflow",
        {
            "workflow_instance_id": "claim-7", "at_sequence": 3,
            "new_workflow_instance_id": "claim-8",
            "edits": {"items": [
                {"path": "/amount", "set": 100}, {"path": "/by", "set": "me"},
                {"path": "/plate", "remove": {}},
            ]},
            "event": {"event_type": "claim.processed", "payload": {"n": 1}},
        },
        ["Forked claim-7 at #3 as claim-8", "claim.processed goes to claim_validator"],
        lambda said: said["context"]["workflow_instance_id"] == "claim-8",
    ),
    "explain": (
        ["explain", "claim-7"],
        "ExplainWorkflow",
        {"workflow_instance_id": "claim-7"},
        ["It waits for one delivery.", "NO_LIVE_ENDPOINT", "Start a handler of the service claims",
         "and 7 more, not shown"],
        lambda said: said["blockers"][0]["kind"] == "NO_LIVE_ENDPOINT",
    ),
    "status": (
        ["status"],
        "GetSystemStatus",
        {},
        ["router-1", "waystation.router.default", "fraud.#", "Pool fraud has had no router since", "5 events", "explain claim-7", "2 endpoints, 1 of them",
         "2 ACTIVE; 0 idle (older ones estimated)"],
        lambda said: said["outbox_size"] == 5 and said["dead_letters"] == 0
        and said["oldest_unsettled_event_age"] == 90 and said["workflows_by_status"] == {"ACTIVE": 2},
    ),
    "audit": (
        ["audit", "--principal", "token:deploy", "--method", "CancelWorkflow", "--method",
         "RetireTask", "--target", "claim-7", "--denied", "--since", "2026-01-01T00:00:00Z",
         "--until", "2026-01-02T00:00:00Z"],
        "ListAudit",
        {
            "page_size": 50, "principal": "token:deploy", "methods": ["CancelWorkflow", "RetireTask"],
            "target": "claim-7", "denied_only": True, "from_time": "2026-01-01T00:00:00Z",
            "to_time": "2026-01-02T00:00:00Z",
        },
        ["UNAUTHENTICATED x1200", "10.0.0.66", "claim-9", "WORKFLOW_NOT_FOUND", "token:deploy",
         "claims host=10.0.0.9", "RegisterHandler", "OK"],
        lambda said: [each["calls"] for each in said["items"]] == [1200, 1, 1]
        and said["items"][2]["target"]["service_name"] == "claims" and said["more"] is False,
    ),
    "top": (
        ["top", "--interval", "1s"],
        "GetSystemStatus",
        {},
        ["ACTIVE", "router-1", "waystation.router.default", "[::1]:7500", "dl-1"],
        lambda said: said["status"]["handlers"] == 2
        and said["handlers"][0]["handler_id"] == "handler-1"
        and said["dead_letters"][0]["dead_letter_id"] == "dl-1",
    ),
    "lint": (
        ["lint", "--type", "claim", "--since", "2026-01-31T12:00:00Z", "--instances", "50"],
        "GetFlow",
        {
            "workflow_type": "claim", "created_after": "2026-01-31T12:00:00Z",
            "max_instances": 50,
        },
        ["WARNING EMITTED_UNHANDLED `claim.procesed`", "Raise `claim.processed` instead.",
         "1 warning, 1 note in 1 workflow type, 3 tasks, 3 instances started since"],
        lambda said: said["findings"][0]["suggestion"] == "claim.processed"
        and said["instances"] == 3 and "flows" not in said,
    ),
    "graph": (
        ["graph", "--type", "claim", "--since", "2026-01-31T12:00:00Z"],
        "GetFlow",
        {
            "workflow_type": "claim", "created_after": "2026-01-31T12:00:00Z",
            "max_instances": 1000,
        },
        ["flowchart LR", "claim_processor"],
        lambda said: said["flows"][0]["handlings"][3]["dead_letters"] == 1,
    ),
    "namespaces create": (
        ["namespaces", "create", "acme", "--description", "A shop", "--max-open-workflows", "1000",
         "--max-starts-per-second", "50"],
        "CreateNamespace",
        {
            "name": "acme", "description": "A shop",
            "limits": {"max_open_workflows": "1000", "max_starts_per_second": 50.0},
        },
        ["Made the namespace acme.", "--namespace acme", "WAYSTATION_NAMESPACE"],
        lambda said: said["name"] == "acme" and said["limits"]["max_open_workflows"] == 1000,
    ),
    "namespaces get": (
        ["namespaces", "get", "acme"],
        "GetNamespace",
        {"name": "acme"},
        ["acme", "A shop", "max_starts_per_second", "50", "1,200", "max_in_flight"],
        lambda said: said["usage"]["open_workflows"] == 3,
    ),
    "namespaces update": (
        ["namespaces", "update", "acme", "--max-open-workflows", "0", "--max-in-flight", "7"],
        "UpdateNamespace",
        {
            "name": "acme", "description": "A shop",
            "limits": {"max_starts_per_second": 50.0, "max_in_flight": 7},
        },
        ["acme", "max_in_flight", "7"],
        lambda said: "max_open_workflows" not in said["limits"],
    ),
    "namespaces list": (
        ["namespaces", "list"],
        "ListNamespaces",
        {"page_size": 1000},
        ["NAMESPACE", "acme", "1,000", "default", "A shop"],
        lambda said: [each["name"] for each in said["items"]] == ["acme", "default"],
    ),
    "namespaces delete": (
        ["namespaces", "delete", "acme"],
        "DeleteNamespace",
        {"name": "acme"},
        ["Deleted the namespace acme."],
        lambda said: said == {},
    ),
    "tokens create": (
        ["tokens", "create", "deploy", "--role", "handler", "--role", "READER", "--namespace", "*",
         "--service", "claims", "--lifetime", "30d"],
        "CreateToken",
        {
            "name": "deploy",
            "grants": [{"namespace": "*", "roles": ["ROLE_HANDLER", "ROLE_READER"]}],
            "service_names": ["claims"],
            "lifetime": "2592000s",
        },
        ["Made the token deploy: handler, reader in every namespace for claims.", "  wst_secret",
         "WAYSTATION_TOKEN_FILE"],
        lambda said: said["secret"] == "wst_secret" and said["token"]["token_id"] == "token-1",
    ),
    "tokens list": (
        ["tokens", "list", "--ended"],
        "ListTokens",
        {"page_size": 1000, "with_ended": True},
        ["deploy", "handler, reader in every namespace for claims", "token-1", "revoked"],
        lambda said: said["items"][0]["grants"] == [
            {"namespace": "*", "roles": ["HANDLER", "READER"]}
        ],
    ),
    "tokens revoke": (
        ["tokens", "revoke", "deploy"],
        "RevokeToken",
        {"token_id": "token-1"},
        ["Revoked the token deploy: every server refuses it within 30 s."],
        lambda said: said["token"]["name"] == "deploy",
    ),
    "handlers list": (
        ["handlers", "list", "--service", "claims"],
        "ListHandlers",
        {"service_name": "claims", "page_size": 1000, "with_tasks": True},
        ["claims 1.2", "[::1]:7500", "no: connection refused", "claim_validator", "handler-1",
         "retired"],
        lambda said: said["items"][0]["reachable"] is False
        and said["items"][0]["kind"] == "STATIC"
        and "lease_remaining" not in said["items"][0],
    ),
    "handlers register": (
        ["handlers", "register", "--service", "claims", "--host", "::1", "--port", "7500",
         "--task", "claim_validator:claim.*,claim.made:claim,car"],
        "RegisterHandler",
        {
            "service_name": "claims", "host": "::1", "port": 7500,
            "kind": "REGISTRATION_KIND_STATIC",
            "tasks": [{
                "task_id": "claim_validator", "event_types": ["claim.*", "claim.made"],
                "workflow_types": ["claim", "car"],
            }],
        },
        ["Registered claims", "handler-1", "2 earlier event(s)"],
        lambda said: said["handler"]["handler_id"] == "handler-1",
    ),
    "handlers unregister": (
        ["handlers", "unregister", "handler-1"],
        "UnregisterHandler",
        {"handler_id": "handler-1"},
        ["Unregistered handler-1"],
        lambda said: said == {},
    ),
    "handlers retire": (
        ["handlers", "retire", "claim_validator", "--yes"],
        "RetireTask",
        {"task_id": "claim_validator"},
        ["Retired claim_validator", "2 open deliveries are dead letters now"],
        lambda said: said == {"retired_deliveries": 2},
    ),
    "dead-letters list": (
        ["dead-letters", "list", "--workflow", "claim-7", "--task", "claim_validator", "--task", "b",
         "--state", "open", "--state", "RETRIED"],
        "ListDeadLetters",
        {
            "page_size": 50,
            "filter": {
                "workflow_instance_ids": ["claim-7"], "task_ids": ["claim_validator", "b"],
                "states": ["DEAD_LETTER_STATE_OPEN", "DEAD_LETTER_STATE_RETRIED"],
            },
        },
        ["dl-1", "claim_validator", "INVALID_ARGUMENT: amount is absurd"],
        lambda said: said["items"][0]["attempts"] == 5,
    ),
    "dead-letters retry": (
        ["dead-letters", "retry", "dl-1", "--payload", '{"amount": 12}'],
        "RetryDeadLetter",
        {"dead_letter_id": "dl-1", "payload": {"amount": 12}},
        ["Tries dl-1 again; claim-7 is ACTIVE"],
        lambda said: said["dead_letter"]["dead_letter_id"] == "dl-1"
        and said["context"]["workflow_instance_id"] == "claim-7",
    ),
    "dead-letters discard": (
        ["dead-letters", "discard", "dl-1"],
        "DiscardDeadLetter",
        {"dead_letter_id": "dl-1"},
        ["Discarded dl-1; claim-7 is FAILED"],
        lambda said: said["dead_letter"]["dead_letter_id"] == "dl-1"
        and said["context"]["status"] == "FAILED",
    ),
    "dead-letters retry --task": (
        ["dead-letters", "retry", "--task", "a", "--workflow", "w", "--type", "t", "--event-type",
         "e", "--reason", "R", "--reason", "S", "--since", "2026-01-01T00:00:00Z", "--until",
         "2026-01-02T00:00:00Z", "--request-id", "r-1"],
        "RetryDeadLetters",
        {
            "filter": {
                "task_ids": ["a"], "workflow_instance_ids": ["w"], "workflow_types": ["t"],
                "event_types": ["e"], "reasons": ["R", "S"], "created_after": "2026-01-01T00:00:00Z",
                "created_before": "2026-01-02T00:00:00Z",
            },
            "request_id": "r-1",
        },
        ["4 open dead letters of 2 workflows", "BAD_PART", "Tries 3 deliveries again", "1 stay"],
        lambda said: said == {"done": 3, "left": 1, "request_id": "r-1"},
    ),
    "dead-letters discard --all": (
        ["dead-letters", "discard", "--all"],
        "DiscardDeadLetters",
        {"all": {}},
        ["Discarded 1 delivery"],
        lambda said: (said["done"], said["left"]) == (1, 0) and said["request_id"],
    ),
}  # fmt: skip

CHANGING = {"StartWorkflow", "ForkWorkflow", "ProvideInput", "PublishEvent", "CancelWorkflow",
            "RegisterHandler", "UnregisterHandler", "RetireTask", "RetryDeadLetter",
            "DiscardDeadLetter", "RetryDeadLetters", "DiscardDeadLetters"}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_person_reads_what_came_of_it(command: str, api: FakeApi, run: Run) -> None:
    arguments, rpc, sent, words, _ = COMMANDS[command]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    for word in words:
        assert word in result.stdout
    request = MessageToDict(api.requests[rpc], preserving_proto_field_name=True)
    if rpc in CHANGING:
        assert request["request_id"]
    if rpc == "ListWorkflows":
        request.pop("page_token", None)
        assert request.pop("page_size") == (2 if command == "inbox" else 48)
    if "request_id" not in sent:
        request.pop("request_id", None)
    assert request == sent


@pytest.mark.parametrize("command", COMMANDS)
def test_a_script_reads_one_json_document(command: str, run: Run) -> None:
    arguments, _, _, _, holds = COMMANDS[command]
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert holds(json.loads(result.stdout)), result.stdout
    assert result.stderr == ""


def test_the_commands_are_all_here() -> None:
    without_a_server = {
        *("dev", "init", "migrate", "schema", "tls dev-certs"),
        *("signing-key new", "signing-key show", "keys new"),
    }
    assert dict(command_table.commands()).keys() - without_a_server == {
        command.partition(" --")[0] for command in COMMANDS
    } | {
        "run",
        "wait",
        "watch",
        "diff",
        "replay",
        "dead-letters edit",
        "dead-letters show",
        "login",
        "logout",
    }


ENDS = {
    "completed": ("WAIT_OUTCOME_DONE", context("COMPLETED", output=struct(paid=120)), 0, '"paid"'),
    "failed": (
        "WAIT_OUTCOME_DONE",
        context(
            "FAILED",
            failure=workflow_pb2.WorkflowFailure(
                reason="NO_PLATE", message="never found", task_id="claim_validator"
            ),
        ),
        5,
        "NO_PLATE in claim_validator: never found",
    ),
    "cancelled": ("WAIT_OUTCOME_DONE", context("CANCELLED"), 5, "CANCELLED"),
    "waiting": (
        "WAIT_OUTCOME_WAITING_FOR_INPUT",
        context("WAITING_FOR_INPUT", waits=waits("w-1", "w-2")),
        3,
        "waystation input claim-7 --wait-id w-2 --data",
    ),
    "idle": (
        "WAIT_OUTCOME_IDLE",
        context(idle=workflow_pb2.WorkflowIdle(message="no task handles `claim.procesed`")),
        4,
        "no task handles `claim.procesed`",
    ),
    "timed out": ("WAIT_OUTCOME_TIMED_OUT", context(), 6, "waystation explain claim-7"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "arguments", [["run", "claim"], ["wait", "claim-7"]], ids=lambda arguments: arguments[0]
)
def test_the_exit_code_tells_the_outcome(
    arguments: list[str], end: str, api: FakeApi, run: Run
) -> None:
    outcome, now, exit_code, words = ENDS[end]
    api.outcomes = [(outcome, now)]
    timeout = ["--timeout", "100ms"] if end == "timed out" else []
    plain = run(*arguments, *timeout)
    assert (plain.exit_code, words in plain.stdout) == (exit_code, True), plain.output
    as_json = run(*arguments, *timeout, "--json")
    assert as_json.exit_code == exit_code
    said = json.loads(as_json.stdout)
    assert said["outcome"] == outcome.removeprefix("WAIT_OUTCOME_")
    assert said["context"]["workflow_instance_id"] == "claim-7"


def test_run_waits_again_after_a_wait_timed_out(api: FakeApi, run: Run) -> None:
    open_still = ("WAIT_OUTCOME_TIMED_OUT", context())
    api.outcomes = [open_still, open_still, ("WAIT_OUTCOME_DONE", context("COMPLETED"))]
    result = run("run", "claim")
    assert result.exit_code == 0
    assert api.calls == ["RunWorkflow", "WaitWorkflow", "WaitWorkflow"]
    assert "Started claim-7" in result.stderr


def test_the_timeline_is_a_tree_by_causation(run: Run) -> None:
    lines = run("show", "claim-7").stdout.splitlines()
    (first,) = [
        number for number, line in enumerate(lines) if line.startswith("Timeline (times in ")
    ]
    drawn = lines[first + 1 : lines.index("Attempts")]

    def line(words: str) -> int:
        return next(number for number, each in enumerate(drawn) if words in each)

    def depth(words: str) -> int:
        return len(drawn[line(words)]) - len(drawn[line(words)].lstrip(" │├└"))

    chain = [
        "start by client",
        "workflow.started",
        "#3 claim_processor SUCCESS attempt 2",
        "claim.processed",
        "#4 user_input_required SUCCESS",
        "#5 input by client (Ada)",
        "user.input.provided",
        "#6 no task handles it",
    ]
    assert [depth(words) for words in chain] == [2 * level for level in range(1, 9)]
    assert line("#2 claim_processor FAILED") < line("#3 claim_processor")
    assert depth("claim.orphaned [PENDING]") == 2
    for number in range(1, 7):
        assert sum(f"#{number} " in each for each in drawn) == 1


def test_show_reads_all_pages_of_the_history_and_changes_only_for_scripts(
    api: FakeApi, run: Run
) -> None:
    run("show", "claim-7")
    asked = api.requests["ListHistory"]
    assert (asked.page_token, asked.filter.to_sequence) == ("4", context().version)
    assert asked.view == history_pb2.HISTORY_VIEW_BASIC
    run("show", "claim-7", "--json")
    assert api.requests["ListHistory"].view == history_pb2.HISTORY_VIEW_FULL


def test_what_a_task_wrote_can_not_steer_the_terminal(run: Run) -> None:
    said = run("show", "claim-7").stdout
    assert "\x1b" not in said
    assert HOSTILE.removeprefix("\x1b") in said


def test_a_limit_cuts_the_list_and_says_so(api: FakeApi, run: Run) -> None:
    result = run("list", "--limit", "1")
    assert api.requests["ListWorkflows"].page_size == 1
    assert "claim-1" not in result.stdout
    assert "use --limit or --all to show more" in result.stdout
    as_json = json.loads(run("list", "--limit", "1", "--json").stdout)
    assert (len(as_json["items"]), as_json["more"]) == (1, True)
    everything = json.loads(run("list", "--all", "--json").stdout)
    assert (len(everything["items"]), everything["more"]) == (3, False)


@pytest.mark.parametrize("since", ["2h", "2026-01-31T12:00:00Z"])
def test_times_are_spans_or_moments(since: str, api: FakeApi, run: Run) -> None:
    assert run("list", "--since", since).exit_code == 0
    assert api.requests["ListWorkflows"].filter.created_after.seconds > 1_700_000_000


def test_a_span_lies_ahead_where_something_is_to_come(api: FakeApi, run: Run) -> None:
    assert run("publish", "claim-7", "claim.due", "--deliver-at", "2h").exit_code == 0
    assert api.requests["PublishEvent"].event.deliver_at.seconds > time.time() + 7000


def test_data_comes_from_a_file_or_standard_input(api: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "claim.json"
    file.write_text('{"text": "Käfer"}', encoding="utf-8")
    assert run("start", "claim", "--data", f"@{file}").exit_code == 0
    assert api.requests["StartWorkflow"].data["text"] == "Käfer"
    told = ["--by", "Ada", "--data", "-"]
    assert run("input", "claim-7", *told, stdin='{"plate": null}').exit_code == 0
    assert api.requests["ProvideInput"].input["plate"] is None
    assert api.requests["ProvideInput"].answered_by == "Ada"


def test_tasks_come_from_a_file(api: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    task = {"task_id": "a", "event_types": ["x"], "workflow_types": ["*"], "timeout": "600s"}
    file.write_text(json.dumps([task]))
    service = ["--service", "s", "--host", "localhost", "--port", "1"]
    assert run("handlers", "register", *service, "--file", str(file)).exit_code == 0
    assert api.requests["RegisterHandler"].tasks[0].timeout.seconds == 600


def test_a_task_is_retired_when_somebody_says_yes(api: FakeApi, run: Run) -> None:
    assert run("handlers", "retire", "claim_validator", stdin="n\n").exit_code == 1
    assert api.requests["RetireTask"].dry_run
    asked = run("handlers", "retire", "claim_validator", stdin="y\n")
    assert asked.exit_code == 0
    question = (
        "Retire claim_validator permanently and turn its 3 open deliveries into dead letters?"
    )
    assert question in asked.stderr
    assert api.requests["RetireTask"].task_id == "claim_validator"
    assert not api.requests["RetireTask"].dry_run


def test_a_dry_run_of_retiring_only_counts(api: FakeApi, run: Run) -> None:
    told = run("handlers", "retire", "claim_validator", "--dry-run")
    assert told.stdout == (
        "Retiring claim_validator: 3 open deliveries would become dead letters. Nothing was changed.\n"
    )
    assert [request.dry_run for _, request in api.received] == [True]
    counted = run("handlers", "retire", "claim_validator", "--dry-run", "--json")
    assert json.loads(counted.stdout) == {"retired_deliveries": 3}


def test_an_endpoint_that_does_not_host_its_task_is_told_with_its_words() -> None:
    said = "returned UNIMPLEMENTED for claim_validator"
    line = endpoint_table([Handler(service_name="claims", reachable=True, last_error=said)])
    shown = io.StringIO()
    Console(file=shown, width=200).print(line)
    assert f"yes, but {said}" in shown.getvalue()


def test_a_list_without_a_match_does_not_say_that_there_are_no_workflows(
    api: FakeApi, run: Run
) -> None:
    api.workflows = 0
    assert "`waystation start WORKFLOW_TYPE` starts one" in run("list").stdout
    assert run("list", "--status", "active").stdout == (
        "No workflow matches. `waystation list` shows all.\n"
    )


def test_an_error_says_each_of_its_words_once() -> None:
    assert (
        error_text(AttemptError(code="UNKNOWN", reason="UNKNOWN", message="odd")) == "UNKNOWN: odd"
    )
    assert error_text(AttemptError(code="A", reason="B")) == "A: B"
