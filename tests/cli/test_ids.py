"""Ids on the command line: lists of them, filters, what TAB proposes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import Any

import grpc
import pytest
from cli.conftest import Run, until_shown
from cli.fake_api import FakeApi, context, dead_letter, struct, waits
from support.terminal import Terminal

from waystation.v1 import workflow_pb2
from waystation_cli.render.overview import now


@pytest.mark.parametrize(
    ("command", "ids"),
    [
        (["list"], ["claim-0", "claim-1", "claim-2"]),
        (["dead-letters", "list"], ["dl-1"]),
        (["handlers", "list"], ["handler-1"]),
    ],
)
def test_a_list_of_ids_is_for_other_commands(command: list[str], ids: list[str], run: Run) -> None:
    assert run(*command, "-o", "ids").stdout.splitlines() == ids
    assert run(*command, "-o", "json").stdout == run(*command, "--json").stdout


def test_workflows_are_found_by_correlation_and_by_the_beginning_of_ids(
    api: FakeApi, run: Run
) -> None:
    run("list", "--correlation-id", "a b", "--correlation-id", "c", "--id-prefix", "cl")
    asked = api.requests["ListWorkflows"].filter
    assert (list(asked.correlation_ids), asked.id_prefix) == (["a b", "c"], "cl")


def test_a_list_says_what_each_waits_for_or_why_it_failed() -> None:
    failure = workflow_pb2.WorkflowFailure(reason="NO_PLATE", message="never\nfound")
    idle = workflow_pb2.WorkflowIdle(message="no task handles it")
    assert now(context("FAILED", failure=failure)) == "NO_PLATE: never\\nfound"
    assert now(context(waits=waits("a", "b"))) == (
        "user_input_required asks: Which plate? (and 1 more)"
    )
    assert now(context(idle=idle)) == "no task handles it"
    assert now(context()) == "-"


def _proposed(api: FakeApi, line: str) -> list[str]:
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "waystation_cli"],
        env={
            **os.environ,
            "_WAYSTATION_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "WAYSTATION_ADDRESS": api.address,
            "http_proxy": "",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("waystation show cl", ["claim-7"]),
        ("waystation explain ", ["claim-0", "claim-1"]),
        ("waystation cancel @", ["@last"]),
        ("waystation start ", ["claim"]),
        ("waystation list --type c", ["claim"]),
        ("waystation dead-letters retry dl", ["dl-1"]),
        ("waystation dead-letters list --task cl", ["claim_validator"]),
        ("waystation handlers retire ", ["claim_validator"]),
        ("waystation handlers unregister ha", ["handler-1"]),
        ("waystation dead", ["dead-letters"]),
    ],
)
def test_tab_proposes_what_the_server_knows(line: str, proposed: list[str], api: FakeApi) -> None:
    assert _proposed(api, line) == proposed


def test_tab_proposes_nothing_where_no_server_answers(api: FakeApi) -> None:
    api.address = "127.0.0.1:1"
    began = time.monotonic()
    assert _proposed(api, "waystation show cl") == []
    assert time.monotonic() - began < 10


def test_a_narrow_terminal_keeps_ids_whole(api: FakeApi, terminal: Terminal) -> None:
    whole = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"
    api.letters[0].dead_letter_id = whole
    terminal.type("COLUMNS=80 waystation dead-letters list")
    until_shown(terminal, "retries one")
    assert any(line.startswith(f"{whole}  claim-7") for line in terminal.output.splitlines())


def test_a_narrow_list_says_below_each_id_what_it_waits_for(
    api: FakeApi, terminal: Terminal
) -> None:
    api.asked[0].message = "Which plate? " * 20
    terminal.type("COLUMNS=80 waystation list --status waiting_for_input")
    assert terminal.wait_prompt(30) == 0
    shown = terminal.output.splitlines()
    number = next(number for number, line in enumerate(shown) if line.startswith("claim-0 "))
    assert re.match(r"claim-0 +ACTIVE +\d+ d ago +claim$", shown[number].rstrip())
    assert shown[number + 1].rstrip() == "  user_input_required asks: Which p…"


ONE, OTHER = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6", "01a21efc-e433-7777-bf49-000000002cd6"


def test_the_end_of_a_generated_id_means_it_and_that_of_a_chosen_one_does_not(
    api: FakeApi, run: Run
) -> None:
    api.generated = [ONE, "reorder-7abc", OTHER]
    for typed, meant in (("3b8f2cd6", ONE), ("00002cd6", OTHER), ("7abc", "7abc"), ("cd6", "cd6")):
        run("cancel", typed)
        assert api.requests["CancelWorkflow"].workflow_instance_id == meant
    told = run("cancel", "2cd6")
    assert (told.exit_code, "ID_IS_AMBIGUOUS" in told.stderr) == (7, True)
    assert ONE in told.stderr
    assert OTHER in told.stderr
    # The beginning of one is not the end of another.
    api.known = ["2cd6-and-more"]
    run("explain", "2cd6")
    assert api.requests["ExplainWorkflow"].workflow_instance_id == "2cd6-and-more"


@pytest.mark.parametrize(
    "command",
    [["cancel"], ["input", "--data", "{}"], ["publish", "claim.amended"]],
    ids=lambda command: command[0],
)
def test_what_changes_a_workflow_takes_a_chosen_id_only_whole(
    command: list[str], api: FakeApi, run: Run
) -> None:
    api.known = ["order-12", ONE]
    name, *more = command

    def given(typed: str) -> Any:
        return run(name, typed, *more)

    told = given("order-1")
    assert (told.exit_code, api.calls) == (7, ["FindWorkflowIds"])
    assert "There is no workflow order-1." in told.stderr
    assert "If you mean order-12, type all of it" in told.stderr
    for typed, meant in (("order-12", "order-12"), (ONE[:13], ONE)):
        given(typed)
        rpc = {"cancel": "CancelWorkflow", "input": "ProvideInput", "publish": "PublishEvent"}[name]
        assert api.requests[rpc].workflow_instance_id == meant


def test_dead_letters_and_endpoints_go_by_their_ends(api: FakeApi, run: Run) -> None:
    api.letters = [dead_letter(ONE)]
    run("dead-letters", "retry", "8f2cd6")
    assert api.requests["RetryDeadLetter"].dead_letter_id == ONE


@pytest.mark.parametrize("command", ["show", "explain", "wait", "cancel"])
def test_several_ids_are_one_call_each_in_their_order(command: str, api: FakeApi, run: Run) -> None:
    api.known = ["claim-7", "claim-8"]
    api.outcomes = [("WAIT_OUTCOME_DONE", context("COMPLETED"))] * 4
    one = json.loads(run(command, "claim-7", "--json").stdout)
    told = run(command, "claim-8", "claim-7", "claim-8", "--json")
    assert json.loads(told.stdout) == {"items": [one, one], "more": False}
    rpc = {"show": "Get", "explain": "Explain", "wait": "Wait", "cancel": "Cancel"}[command]
    assert api.requests[f"{rpc}Workflow"].workflow_instance_id == "claim-7"
    # One that is not clear, and nothing is asked.
    api.requests.clear()
    assert run(command, "claim-7", "claim").exit_code == 7
    assert f"{rpc}Workflow" not in api.requests


def test_what_was_done_before_a_call_that_failed_is_told(api: FakeApi, run: Run) -> None:
    api.known = ["claim-7", "claim-8"]
    api.refused_after["CancelWorkflow"] = 1
    api.refusals["CancelWorkflow"] = (
        grpc.StatusCode.FAILED_PRECONDITION, "WORKFLOW_ENDED", "It has ended.", {},
    )  # fmt: skip
    told = run("cancel", "claim-7", "claim-8", "--json")
    assert told.exit_code == 7
    assert [each["context"]["status"] for each in json.loads(told.stdout)["items"]] == ["CANCELLED"]
    assert json.loads(told.stderr)["error"]["reason"] == "WORKFLOW_ENDED"


ANSWER = ("input", "--data", '{"plate": "B-X 1"}')


def test_several_workflows_get_the_same_answer_and_each_its_own_request(
    api: FakeApi, run: Run
) -> None:
    api.known = ["claim-7", "claim-8"]
    told = json.loads(run(*ANSWER, "claim-8", "claim-7", "--by", "Ada", "--json").stdout)
    assert (len(told["items"]), told["more"]) == (2, False)
    sent = [request for rpc, request in api.received if rpc == "ProvideInput"]
    assert [each.workflow_instance_id for each in sent] == ["claim-8", "claim-7"]
    assert {(each.input["plate"], each.answered_by) for each in sent} == {("B-X 1", "Ada")}
    assert len({each.request_id for each in sent}) == 2


@pytest.mark.parametrize(
    ("more", "code"),
    [(["claim"], 7), (["claim-8", "--wait-id", "w-1"], 2), (["claim-8", "--expected-version", "6"], 2)],
)  # fmt: skip
def test_unless_all_of_several_can_be_answered_none_is(
    more: list[str], code: int, api: FakeApi, run: Run
) -> None:
    api.known = ["claim-7", "claim-8"]
    assert run(*ANSWER, "claim-7", *more).exit_code == code
    assert "ProvideInput" not in api.calls


def test_an_answer_that_does_not_fit_the_last_of_several_is_given_to_none(
    api: FakeApi, run: Run
) -> None:
    api.known = ["claim-7", "claim-8"]
    api.asked_of["claim-8"] = waits("w-1")
    api.asked_of["claim-8"][0].input_schema.CopyFrom(struct(required=["amount"]))
    told = run(*ANSWER, "claim-7", "claim-8")
    assert (told.exit_code, "claim-8: the answer is not" in " ".join(told.stderr.split())) == (
        2,
        True,
    )
    assert "ProvideInput" not in api.calls


def test_the_exit_code_of_several_waits_is_that_of_the_first_that_did_not_complete(
    api: FakeApi, run: Run
) -> None:
    api.known = ["a", "b", "c"]
    api.outcomes = [
        ("WAIT_OUTCOME_DONE", context("COMPLETED")),
        ("WAIT_OUTCOME_DONE", context("FAILED")),
        ("WAIT_OUTCOME_IDLE", context()),
    ]
    assert run("wait", "a", "b", "c").exit_code == 5


def test_a_list_says_what_those_at_work_wait_for(api: FakeApi, run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert sum("NO_LIVE_ENDPOINT No endpoint of claims is alive." in line for line in lines) == 3
    # The list is worth more than that.
    api.refusals["ExplainWorkflow"] = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "no", {})
    told = run("list")
    assert (told.exit_code, "claim-2" in told.stdout) == (0, True)


def test_a_watched_list_is_shown_until_ctrl_c(api: FakeApi, terminal: Terminal) -> None:
    terminal.type("waystation list --watch --type claim")
    until_shown(terminal, "claim-1")
    until_shown(terminal, "Ctrl-C ends this")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 0, terminal.output


def test_a_list_is_watched_by_people_only(run: Run) -> None:
    for words in ([], ["--json"]):
        told = run("list", "--watch", *words)
        assert (told.exit_code, "waystation watch ID --json" in told.stderr) == (2, True)
