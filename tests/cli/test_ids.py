"""Ids on the command line: lists of them, filters, what TAB proposes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest
from cli.conftest import Run, until_shown
from cli.fake_api import FakeApi, context, waits
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


def test_a_narrow_list_keeps_all_but_the_last_column_whole(
    api: FakeApi, terminal: Terminal
) -> None:
    api.asked[0].message = "Which plate? " * 20
    terminal.type("COLUMNS=80 waystation list --status waiting_for_input")
    assert terminal.wait_prompt(30) == 0
    line = next(line for line in terminal.output.splitlines() if line.startswith("claim-0 "))
    assert re.match(r"claim-0 +claim  ACTIVE  \d+ d ago +\d+ d ago +user_input_required", line)
    assert len(line) <= 80
