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
    sent = [rpc for rpc, request in api.received if not getattr(request, "dry_run", False)]
    assert not changes & set(sent)


def test_ctrl_c_at_the_question_of_the_second_workflow_tells_that_the_first_was_answered(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["B-X 1"])

    def answered_once(prompt: str) -> str:
        for answer in typed:
            return answer
        raise KeyboardInterrupt

    monkeypatch.setattr("typer._click.termui.visible_prompt_func", answered_once)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    api.known = ["claim-7", "claim-8"]
    api.asked[0].input_schema.CopyFrom(
        struct(properties={"plate": {"type": "string"}}, required=["plate"])
    )
    with pytest.raises(SystemExit) as end:
        app(["input", "claim-7", "claim-8", "--address", api.address])
    assert end.value.code == 130
    said = capsys.readouterr()
    assert "claim-7:\nuser_input_required asks: Which plate?" in said.err
    assert "Nothing more was sent; answered before: claim-7." in said.err
    assert "Given; claim-7" in said.out
    assert api.calls.count("ProvideInput") == 1
