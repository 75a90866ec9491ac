"""Commands about many dead letters: counted first, asked about, seen to the end, and taken up again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest
from cli.conftest import Run, until_shown
from cli.fake_api import FakeApi, context, dead_letter
from support.terminal import Terminal


def test_a_dry_run_counts_and_does_nothing(api: FakeApi, run: Run) -> None:
    told = run("dead-letters", "discard", "--reason", "BAD_PART", "--dry-run")
    assert (told.exit_code, told.stderr) == (0, "")
    assert re.search(r"^4 +claim_validator +BAD_PART +2 +3 ", told.stdout, re.M), told.stdout
    assert "1 of them can only be discarded" in told.stdout
    assert api.calls == ["CountDeadLetters"]
    assert api.requests["CountDeadLetters"].filter.reasons == ["BAD_PART"]
    assert run("dead-letters", "retry", "dl-1", "--dry-run").exit_code == 2


def test_the_request_id_is_told_before_anything_is_done(api: FakeApi, run: Run) -> None:
    told = run("dead-letters", "retry", "--all")
    request = api.requests["RetryDeadLetters"]
    assert told.stderr == f"Request id: {request.request_id}\n"


def test_a_terminal_is_asked_and_a_no_does_nothing(api: FakeApi, terminal: Terminal) -> None:
    terminal.type("waystation dead-letters discard --all")
    until_shown(terminal, "Discard 4 of them? [y/N]")
    terminal.type("n")
    assert terminal.wait_prompt(30) == 1
    assert "Nothing was done." in terminal.output
    assert "DiscardDeadLetters" not in api.calls
    terminal.type("waystation dead-letters discard --all --yes")
    assert terminal.wait_prompt(30) == 0
    assert "DiscardDeadLetters" in api.calls


def test_ctrl_c_tells_how_far_it_came_and_what_goes_on(api: FakeApi) -> None:
    api.hold_bulk = True
    api.left = [10, 4]
    command = [sys.executable, "-m", "waystation_cli", "dead-letters", "retry"]
    with subprocess.Popen(
        [*command, "--task", "it's", "--request-id", "r-1", "--address", api.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr is not None
            assert running.stderr.readline() == "Request id: r-1\n"
            api.arrived.wait(30)
            running.send_signal(signal.SIGINT)
            said = running.stderr.read()
            assert running.wait() == 130
        finally:
            running.kill()
    assert said == (
        "Stopped. 6 of 10 are done. What was done is kept; this does the rest:\n"
        """  waystation dead-letters retry --task 'it'"'"'s' --request-id r-1 --address """
        f"{api.address}\n"
    )


def test_several_are_retried_by_their_ids(api: FakeApi, run: Run) -> None:
    told = run("dead-letters", "retry", "dl-1", "dl-2")
    assert told.stdout.splitlines() == [
        "Tries dl-1 again; claim-7 is ACTIVE",
        "Tries dl-2 again; claim-7 is ACTIVE",
    ]
    assert run("dead-letters", "retry", "dl-1", "dl-2", "--payload", "{}").exit_code == 2
    assert run("dead-letters", "discard", "dl-1", "dl-2", "--request-id", "r").exit_code == 2


def test_if_one_of_several_ids_is_not_clear_nothing_is_done(api: FakeApi, run: Run) -> None:
    api.letters = [
        dead_letter("01a21efc-e433-751d-bf49-aa4d3b8f2cd6"),
        dead_letter("01a21fff-e433-751d-bf49-aa4d3b8f2cd6"),
    ]
    for verb in ("retry", "discard"):
        assert run("dead-letters", verb, "@last", "01a21").exit_code == 7
    assert not {"RetryDeadLetter", "DiscardDeadLetter"} & set(api.calls)
    run("dead-letters", "retry", "@last", "@last")
    assert api.calls.count("RetryDeadLetter") == 1


def test_what_can_not_be_retried_is_not_advised(api: FakeApi, run: Run) -> None:
    ended = dead_letter("01a21efc-e433-751d-bf49-aa4d3b8f2cd6")
    ended.retryable = False
    api.letters = [ended]
    shown, listed = run("show", "claim-7").stdout, run("dead-letters", "list").stdout
    assert f"waystation dead-letters discard {ended.dead_letter_id}" in shown
    assert "dead-letters retry" not in shown
    assert "OPEN (ended)" in listed
    assert "can only be discarded" in listed


def test_the_beginning_of_an_id_is_enough(api: FakeApi, run: Run) -> None:
    whole = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"
    api.letters = [dead_letter(whole)]
    assert run("dead-letters", "retry", "01a21").exit_code == 0
    assert api.requests["ListDeadLetters"].filter.id_prefix == "01a21"
    assert api.requests["RetryDeadLetter"].dead_letter_id == whole
    api.letters = [dead_letter(whole), dead_letter("01a21fff-e433-751d-bf49-aa4d3b8f2cd6")]
    several = run("dead-letters", "retry", "01a21")
    assert several.exit_code == 7
    assert whole in several.stderr
    assert run("dead-letters", "discard", "@last").exit_code == 0
    assert api.requests["DiscardDeadLetter"].dead_letter_id == whole
    api.letters = []
    assert run("dead-letters", "discard", "@last").exit_code == 7


@pytest.mark.parametrize(
    "command",
    [["show"], ["explain"], ["watch"], ["wait"], ["cancel"], ["input", "--data", "{}"],
     ["replay"], ["diff", "1"], ["fork", "--at", "1"], ["publish", "a.b"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_a_workflow_goes_by_the_beginning_of_its_id(
    command: list[str], api: FakeApi, run: Run
) -> None:
    # Generated ones: what changes a workflow takes one that somebody chose only whole.
    one, other = (f"01a21efc-8107-7515-b563-3f3e9930{end}" for end in ("5ccd", "5cce"))
    api.known = [one]
    api.outcomes = [("WAIT_OUTCOME_DONE", context("COMPLETED"))]
    name, *rest = command
    run(name, "01a21efc", *rest)
    named = {request.workflow_instance_id for _, request in api.received if _names_one(request)}
    assert named == {one}
    api.known = [one, other]
    several = run(name, "01a21efc", *rest)
    assert (several.exit_code, f"{one}, {other}" in several.stderr) == (7, True)
    api.received.clear()
    run(name, "@last", *rest)
    named = {request.workflow_instance_id for _, request in api.received if _names_one(request)}
    assert named == {"claim-0"}


def _names_one(request: object) -> bool:
    return bool(getattr(request, "workflow_instance_id", ""))
