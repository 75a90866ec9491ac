"""dead-letters show, edit and grouped lists: what a person does with one, in an editor that is a script."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, dead_letter, struct
from google.protobuf.json_format import MessageToDict

from waystation.v1.dead_letter_pb2 import DEAD_LETTER_STATE_RETRIED
from waystation_cli import shapes
from waystation_cli.json_schema import faults

WHOLE = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"


@pytest.fixture
def letter(api: FakeApi) -> None:
    api.letters = [dead_letter(WHOLE)]
    api.letters[0].event.payload.CopyFrom(struct(amount=-1, plate="B-X 1"))
    api.letters[0].error.message = "absurd\nclaim-7 COMPLETED"


def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    file = tmp_path / "an editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{file}' --wait")


def test_one_is_shown_with_all_that_is_known(letter: None, api: FakeApi, run: Run) -> None:
    told = run("dead-letters", "show", WHOLE[:8]).stdout
    lines = told.splitlines()
    assert lines[0] == f"{WHOLE} OPEN"
    for words in ("INVALID_ARGUMENT: absurd", "  | claim-7 COMPLETED", '  "amount": -1,'):
        assert words in lines
    assert f"waystation dead-letters edit {WHOLE}" in told
    asked = api.requests["ListDeadLetters"].filter
    assert (asked.id_prefix, len(asked.states)) == (WHOLE, 3)
    said = json.loads(run("dead-letters", "show", WHOLE, "--json").stdout)
    assert faults(shapes.of_command("dead-letters show"), said) == []
    api.letters = []
    for name in (WHOLE, "dl-9"):
        missing = run("dead-letters", "show", name)
        assert (missing.exit_code, "DEAD_LETTER_NOT_FOUND" in missing.stderr) == (7, True)


def test_an_edited_payload_is_shown_and_retried(
    letter: None, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor(monkeypatch, tmp_path, "sed -i 's/-1/120/' \"$2\"")
    told = run("dead-letters", "edit", WHOLE, stdin="y\n")
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines() == [
        "- /amount: -1",
        "+ /amount: 120",
        " y",
        f"Tries {WHOLE} again; claim-7 is ACTIVE",
    ]
    said = json.loads(run("dead-letters", "edit", WHOLE, "--json").stdout)
    assert faults(shapes.of_command("dead-letters edit"), said) == []
    sent = MessageToDict(api.requests["RetryDeadLetter"].payload)
    assert sent == {"amount": 120, "plate": "B-X 1"}


@pytest.mark.parametrize(
    ("script", "stdin", "code", "says"),
    [
        ("true", "", 1, "Nothing was changed"),
        ("sed -i 's/-1/2/' \"$2\"", "n\n", 1, "Nothing was sent"),
        ("sed -i 's/-1/2/' \"$2\"", "", 1, "Nothing was sent"),
        ("exit 3", "", 7, "ended with exit code 3"),
        ('echo "{amount" > "$2"', "", 7, "not JSON"),
        ('echo "[]" > "$2"', "", 7, "no JSON object"),
    ],
)
def test_an_edit_that_was_given_up_or_is_wrong_is_not_sent(
    letter: None,
    api: FakeApi,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    script: str,
    stdin: str,
    code: int,
    says: str,
) -> None:
    editor(monkeypatch, tmp_path, script)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = run("dead-letters", "edit", WHOLE, stdin=stdin)
    assert (told.exit_code, says in told.output) == (code, True), told.output
    assert "RetryDeadLetter" not in api.calls
    # What somebody has written is not thrown away, and is told where it is.
    kept = [str(file) for file in tmp_path.glob("waystation-*/*.json")]
    assert kept == re.findall(r"The text is kept: (.*)\.$", told.stderr, re.M)
    assert bool(kept) == (script != "true")


def test_what_can_not_be_retried_is_not_edited(letter: None, api: FakeApi, run: Run) -> None:
    api.letters[0].retryable = False
    ended = run("dead-letters", "edit", WHOLE)
    assert (ended.exit_code, "can only be discarded" in ended.stderr) == (7, True)
    api.letters[0].state = DEAD_LETTER_STATE_RETRIED
    retried = run("dead-letters", "edit", WHOLE)
    assert (retried.exit_code, "it is RETRIED already" in retried.stderr) == (7, True)


def test_a_grouped_list_counts(api: FakeApi, run: Run) -> None:
    told = run("dead-letters", "list", "--grouped", "--task", "claim_validator")
    assert "BAD_PART" in told.stdout
    assert api.requests["CountDeadLetters"].filter.task_ids == ["claim_validator"]
    assert told.stdout.startswith("4 open dead letters")
    assert "can only be discarded" in told.stdout
    others = run("dead-letters", "list", "--grouped", "--state", "retried", "--state", "discarded")
    assert others.stdout.startswith("4 retried or discarded dead letters")
    assert "can only be discarded" not in others.stdout
    assert run("dead-letters", "list", "--grouped", "-o", "ids").exit_code == 2
