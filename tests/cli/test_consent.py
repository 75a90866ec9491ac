"""Ctrl-C at a question ends a command as it does elsewhere, and nothing is done."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cli.fake_api import FakeApi, dead_letter, struct

from waystation_cli.app import app

WHOLE = "01a21efc-e433-751d-bf49-aa4d3b8f2cd6"


@pytest.mark.parametrize(
    "command",
    [
        ["dead-letters", "discard", "--all"],
        ["dead-letters", "edit", WHOLE],
        ["handlers", "retire", "claim_validator"],
        ["input", "claim-7"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_ctrl_c_at_a_question_does_nothing(
    command: list[str],
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    # Struck by hand in a terminal it may come just before Python begins to listen for it.
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", interrupted)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/-1/120/")
    api.letters = [dead_letter(WHOLE)]
    api.letters[0].event.payload.CopyFrom(struct(amount=-1))
    with pytest.raises(SystemExit) as end:
        app([*command, "--address", api.address])
    assert end.value.code == 130
    assert "\nNothing was " in capsys.readouterr().err
    changes = {"DiscardDeadLetters", "RetryDeadLetter", "RetireTask", "ProvideInput"}
    assert not changes & set(api.calls)
