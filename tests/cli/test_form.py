"""input: a question for each field on a terminal, and a check of what comes as data."""

from __future__ import annotations

import pytest
from cli.conftest import Run, until_shown
from cli.fake_api import FakeApi, struct
from google.protobuf.json_format import MessageToDict
from support.terminal import Terminal

FORM = {
    "type": "object",
    "properties": {
        "plate": {"type": "string", "minLength": 3, "description": "as on the car"},
        "amount": {"type": "integer", "minimum": 1},
        "approved": {"type": "boolean", "default": False},
        "way": {"enum": ["bank", "cash"]},
        "note": {"type": "string"},
    },
    "required": ["plate", "amount", "way"],
}


@pytest.fixture
def form(api: FakeApi) -> None:
    api.asked[0].input_schema.CopyFrom(struct(**FORM))


def test_a_terminal_is_asked_for_each_field_until_it_fits(
    form: None, api: FakeApi, terminal: Terminal
) -> None:
    terminal.type("waystation input claim-7 --by Ada")
    for question, answer in (
        ("user_input_required asks: Which plate?", None),
        ("plate (string, as on the car):", "B"),
        ("'B' is too short", None),
        ("plate (string, as on the car):", "B-X 1"),
        ("amount (integer):", "much"),
        ("'much' is not of type 'integer'", None),
        ("amount (integer):", "120"),
        ("way (bank | cash):", "bank"),
        ("approved (yes or no, optional) [false]:", "perhaps"),
        ("it must be yes or no", None),
        ("approved (yes or no, optional) [false]:", "yes"),
        ("note (string, optional)", ""),
    ):
        until_shown(terminal, question)
        if answer is not None:
            terminal.type(answer)
    assert terminal.wait_prompt(30) == 0, terminal.output
    sent = api.requests["ProvideInput"]
    assert MessageToDict(sent.input) == {
        "plate": "B-X 1",
        "amount": 120,
        "approved": True,
        "way": "bank",
    }
    assert sent.answered_by == "Ada"


def test_data_is_checked_before_it_is_sent(form: None, api: FakeApi, run: Run) -> None:
    wrong = run("input", "claim-7", "--data", '{"plate": "B-X 1", "amount": 0, "way": "bank"}')
    assert wrong.exit_code == 2
    assert "/amount: 0 is less than the minimum of 1" in " ".join(wrong.stderr.split())
    assert "ProvideInput" not in api.calls
    right = '{"plate": "B-X 1", "amount": 1, "way": "cash"}'
    assert run("input", "claim-7", "--data", right).exit_code == 0
    assert run("input", "claim-7", "--data", "{}", "--no-check").exit_code == 0
    assert MessageToDict(api.requests["ProvideInput"].input) == {}


def test_a_wait_without_a_schema_takes_anything(api: FakeApi, run: Run) -> None:
    assert run("input", "claim-7", "--data", '{"anything": 1}').exit_code == 0
