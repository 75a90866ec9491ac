"""explain: several things of one cause, and advice that reaches the server that was asked."""

from __future__ import annotations

import re

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, at, finding
from typer.testing import CliRunner

from waystation.v1.blocker_pb2 import Blocker
from waystation.v1.history_pb2 import AttemptError
from waystation_cli.app import app

ADVICE = ["explain", "watch", "status", "top", "inbox", "lint", "list", "dead-letters list"]

WITHOUT_ADVICE = ["list", "dead-letters list"]


def failed(number: int, reason: str = "BAD_PART", **fields: str) -> Blocker:
    return Blocker(
        kind="BLOCKER_KIND_DEAD_LETTER",
        since=at(number),
        message=f"part failed permanently on `part.wanted` ({reason}) after {number} attempts",
        remedy=f"Retry it: `waystation dead-letters retry dl-{number}`.",
        event_type="part.wanted",
        task_id="part",
        dead_letter_id=f"dl-{number}",
        last_error=AttemptError(
            code="TASK_FAILURE", reason=reason, message=f"part {number} is no good"
        ),
        **fields,
    )


def test_a_cause_of_several_is_told_once_with_their_number(api: FakeApi, run: Run) -> None:
    del api.explained.blockers[:]
    api.explained.blockers.extend([failed(1), failed(2), failed(3, "TOO_LATE"), failed(4)])
    said = run("explain", "claim-7").stdout
    assert said.count("BAD_PART: part") == 1
    assert "(3 of these; --json has each)" in said
    assert said.count("dead-letters retry") == 2
    assert "`waystation dead-letters list --workflow claim-7 --task part`" in said
    assert "TOO_LATE: part 3 is no good" in said


def commands_of(said: str) -> list[str]:
    return re.findall(r"(?:`|answer: )(waystation [a-z][^`\n]*)", said)


@pytest.mark.parametrize("words", ADVICE)
def test_advice_names_the_server_that_an_option_named(
    words: str, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYSTATION_ADDRESS", raising=False)
    api.findings = [finding()]
    api.findings[0].remedy = "See `waystation list --type claim`."
    api.explained.blockers[0].remedy = "See `waystation handlers list`; or `waystation dev` afresh."

    def told(*more: str) -> str:
        return CliRunner().invoke(app, [*words.split(), *ids, *more]).output

    ids = ["claim-7"] if words in ("explain", "watch") else []
    typed = commands_of(told("--address", api.address))
    assert typed or words in WITHOUT_ADVICE
    for command in typed:
        assert command.endswith(f" --address {api.address}") != (command == "waystation dev")
    # What a variable says holds for the next command, too.
    monkeypatch.setenv("WAYSTATION_ADDRESS", api.address)
    assert "--address" not in told()
