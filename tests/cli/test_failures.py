"""What goes wrong tells what to do: on stderr, never as a traceback, never with exit code 1."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from cli.fake_api import FakeApi
from hypothesis import given
from hypothesis.strategies import from_regex
from typer.testing import CliRunner, Result

from waystation_cli.app import app
from waystation_cli.connection import PLAIN_ADDRESS
from waystation_cli.outcome import NO_ANSWER, REFUSED
from waystation_worker.addresses import problem_of


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)


REFUSALS = {
    "wrong id": (
        ["show", "claim-8"], "GetWorkflow", grpc.StatusCode.NOT_FOUND, "WORKFLOW_NOT_FOUND",
        {"workflow_instance_id": "claim-8"}, "waystation list",
    ),
    "wrong state": (
        ["input", "claim-7", "--data", "{}"], "ProvideInput",
        grpc.StatusCode.FAILED_PRECONDITION, "WORKFLOW_NOT_WAITING",
        {"workflow_instance_id": "claim-7", "status": "ACTIVE"}, "waystation explain claim-7",
    ),
    "several waits": (
        ["input", "claim-7", "--data", "{}"], "ProvideInput",
        grpc.StatusCode.FAILED_PRECONDITION, "WAIT_ID_REQUIRED", {"wait_ids": "w-1,w-2"},
        "--wait-id: w-1,w-2",
    ),
    "ended": (
        ["publish", "claim-7", "a.b"], "PublishEvent", grpc.StatusCode.FAILED_PRECONDITION,
        "WORKFLOW_ENDED", {"workflow_instance_id": "claim-7", "status": "COMPLETED"},
        "waystation show claim-7",
    ),
    "no such dead letter": (
        ["dead-letters", "retry", "dl-9"], "RetryDeadLetter", grpc.StatusCode.NOT_FOUND,
        "DEAD_LETTER_NOT_FOUND", {"dead_letter_id": "dl-9"}, "waystation dead-letters list",
    ),
    "a dead letter that is done with": (
        ["dead-letters", "discard", "dl-1"], "DiscardDeadLetter",
        grpc.StatusCode.FAILED_PRECONDITION, "DEAD_LETTER_RESOLVED",
        {"dead_letter_id": "dl-1", "state": "RETRIED"},
        "waystation dead-letters list --state RETRIED",
    ),
    "moved on": (
        ["cancel", "claim-7", "--expected-version", "1"], "CancelWorkflow",
        grpc.StatusCode.ABORTED, "VERSION_MISMATCH", {"expected_version": "1", "version": "5"},
        "--expected-version",
    ),
    "store away": (
        ["run", "claim"], "RunWorkflow", grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", {},
        "Postgres",
    ),
    "a reason of a later release": (
        ["start", "claim"], "StartWorkflow", grpc.StatusCode.INVALID_ARGUMENT, "BRAND_NEW",
        {"field": "x"}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_tells_its_reason_and_what_to_do(refusal: str, api: FakeApi) -> None:
    arguments, rpc, code, reason, metadata, hint = REFUSALS[refusal]
    api.refusals[rpc] = (code, reason, "It can't be done. Do something else.", metadata)
    plain = run(*arguments, "--address", api.address)
    exit_code = NO_ANSWER if code is grpc.StatusCode.UNAVAILABLE else REFUSED
    assert plain.exit_code == exit_code
    assert plain.stdout == ""
    for words in ("It can't be done. Do something else.", f"({code.name} / {reason})", hint):
        assert words in plain.stderr
    as_json = run(*arguments, "--address", api.address, "--json")
    assert (as_json.exit_code, as_json.stdout) == (exit_code, "")
    error = json.loads(as_json.stderr)["error"]
    assert (error["code"], error["reason"], error["metadata"]) == (code.name, reason, metadata)


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_a_bulk_command_that_breaks_off_tells_how_it_goes_on(verb: str, api: FakeApi) -> None:
    rpc = f"{verb.title()}DeadLetters"
    unavailable = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "Postgres is away.", {})
    api.refusals[rpc] = unavailable
    command = ["dead-letters", verb, "--task", "a", "--since", "2h", "--address", api.address]
    told = run(*command)
    assert told.exit_code == NO_ANSWER
    sent = api.requests[rpc]
    since = sent.filter.created_after.ToJsonString()
    again = f"dead-letters {verb} --task a --since {since} --request-id {sent.request_id}"
    # Without the address it would be another server's dead letters.
    again += f" --address {api.address}"
    assert f"`waystation {again}`" in told.stderr
    as_json = json.loads(run(*command, "--json").stderr)["error"]
    assert as_json["metadata"] == {"request_id": api.requests[rpc].request_id}
    del api.refusals[rpc]
    # What it tells is the same request.
    assert run(*again.split()).exit_code == 0
    assert api.requests[rpc] == sent
    api.refusals[rpc] = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "No.", {})
    assert "What was done is kept" not in run(*command).stderr


def test_no_server_says_how_to_start_one() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        result = run("list", "--address", address)
        as_json = run("list", "--address", address, "--json")
    assert result.exit_code == NO_ANSWER
    assert f"No Waystation server answers at {address}" in result.stderr
    assert "waystation dev" in result.stderr
    assert json.loads(as_json.stderr)["error"]["reason"] == "SERVER_UNREACHABLE"


def test_another_kind_of_server_is_told_apart() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        result = run("status", "--address", address)
    finally:
        server.stop(None).wait()
    assert result.exit_code == REFUSED
    assert "UNIMPLEMENTED / NOT_A_WAYSTATION_SERVER" in result.stderr


USAGE = {
    "a retry of nothing": (["dead-letters", "retry"], "give a DEAD_LETTER_ID, filter options"),
    "a discard of one and of many": (
        ["dead-letters", "discard", "dl-1", "--task", "a"],
        "not both",
    ),
    "all and a choice": (
        ["dead-letters", "discard", "--all", "--task", "a"],
        "--all and filter options",
    ),
    "one payload for many": (
        ["dead-letters", "retry", "--all", "--payload", "{}"],
        "--payload edits a single delivery",
    ),
    "not JSON": (["start", "claim", "--data", "{amount: 1}"], "line 1, column 2"),
    "not an object": (["start", "claim", "--data", "[1]"], "must be a JSON object"),
    "not a number": (["start", "claim", "--data", '{"a": NaN}'], "NaN is not JSON"),
    "too exact": (["input", "c", "--data", '{"a": 9007199254740993}'], "write it as a string"),
    "half a character": (["start", "claim", "--data", '{"a": "\\ud800"}'], "Struct"),
    "too deep": (["start", "claim", "--data", '{"a":' * 5000 + "1" + "}" * 5000], "deep"),
    "no such file": (["start", "claim", "--data", "@/no/such/file"], "cannot read /no/such/file"),
    "no input": (["input", "claim-7"], "--data"),
    "a bad pair": (["start", "claim", "--metadata", "traceparent"], "KEY=VALUE"),
    "a bad span": (["wait", "claim-7", "--timeout", "soon"], "time span"),
    "a bad time": (["list", "--since", "yesterday"], "2026-01-31T12:00:00Z"),
    "a bad status": (["list", "--status", "sleeping"], "waiting_for_input"),
    "an address with a scheme": (["list", "--address", "http://127.0.0.1:7400"], "host:port"),
    "an address without brackets": (["list", "--address", "::1:7400"], "write [::1]:7400"),
    "a socket's path": (["list", "--address", "unix:/run/waystation"], "host:port"),
    "no task": (
        ["handlers", "register", "--service", "s", "--host", "h", "--port", "1"],
        "--task or --file",
    ),
    "half a task": (
        ["handlers", "register", "--service", "s", "--host", "h", "--port", "1", "--task", "a:b"],
        "ID:EVENT,EVENT:TYPE,TYPE",
    ),
    "no such command": (["begin"], "No such command"),
}


@pytest.mark.parametrize("fault", USAGE)
def test_a_wrong_command_line_says_what_a_right_one_is(fault: str) -> None:
    arguments, words = USAGE[fault]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


@given(from_regex(PLAIN_ADDRESS, fullmatch=True))
def test_an_address_that_is_taken_without_a_look_is_one_of_the_sdk_too(address: str) -> None:
    assert problem_of(address) == ""


def test_a_file_of_tasks_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    file.write_text('[{"task": "a"}]')
    service = ["--service", "s", "--host", "h", "--port", "1"]
    result = run("handlers", "register", *service, "--file", str(file))
    assert result.exit_code == 2
    assert "TaskSpec" in result.stderr


def test_an_argument_that_is_not_text_is_told_and_ctrl_c_tells_how_to_go_on(api: FakeApi) -> None:
    program = [sys.executable, "-m", "waystation_cli"]
    garbage = subprocess.run([*program, "show", b"\xff"], capture_output=True, text=True)
    assert (garbage.returncode, garbage.stderr.strip()) == (
        2,
        "Error: '\\udcff' is not UTF-8 text.",
    )
    api.hold_waits = True
    with subprocess.Popen(
        [*program, "run", "claim", "--address", api.address],
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr.readline() == "Started claim-7\n"
            running.send_signal(signal.SIGINT)
            assert "waystation wait claim-7" in running.stderr.read()
            assert running.wait() == 130
        finally:
            running.kill()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["start", "claim", "--data", "{amount: 1}"], "--data"),
        (["start", "claim", "--payload", "[1]"], "--payload"),
        (["fork", "claim-7", "--at", "1", "--set", "/a=abc"], "--set"),
        (["dead-letters", "retry", "dl-1", "--payload", "x"], "--payload"),
    ],
)
def test_a_wrong_value_is_told_with_its_option(arguments: list[str], option: str) -> None:
    told = " ".join(run(*arguments).stderr.split())
    assert f"Invalid value for {option}: " in told.replace("'", ""), told


def test_a_choice_that_there_is_not_is_told_in_the_words_of_the_command_line() -> None:
    told = run("dead-letters", "list", "--state", "resolved")
    assert (told.exit_code, "Value error" in told.stderr) == (2, False)
    assert "'resolved' is not one of" in told.stderr


@pytest.mark.parametrize("command", [["list"], ["dead-letters", "list"], ["handlers", "list"]])
def test_a_failure_has_the_form_that_was_asked_for(command: list[str], api: FakeApi) -> None:
    for rpc in ("ListWorkflows", "ListDeadLetters", "ListHandlers"):
        api.refusals[rpc] = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "Away.", {})
    for form in (["-o", "json"], ["--json"]):
        told = run(*command, *form, "--address", api.address)
        assert json.loads(told.stderr)["error"]["reason"] == "STORE_UNAVAILABLE"
    assert run(*command, "-o", "ids", "--json", "--address", api.address).exit_code == 2


def test_a_field_of_a_request_is_told_as_the_option_that_it_is(api: FakeApi) -> None:
    api.refusals["GetWorkflow"] = (
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "at_sequence must be 1-38.",
        {"field": "at_sequence"},
    )  # fmt: skip
    told = run("show", "claim-7", "--at", "99", "--address", api.address)
    assert "Here, at_sequence is --at." in told.stderr
