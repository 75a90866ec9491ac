"""What scripts read: each command's document against the schema that `waystation schema` prints."""

from __future__ import annotations

import json

import pytest
from cli.conftest import Run
from cli.fake_api import FakeApi, context
from cli.test_commands import COMMANDS

from waystation.v1.handler_pb2 import TaskSpec
from waystation_cli import shapes
from waystation_cli.json_schema import faults
from waystation_cli.render import message_json

NAMES = {
    "dead-letters retry --task": "dead-letters retry many",
    "dead-letters discard --all": "dead-letters discard many",
}
OTHERS = {
    "run": ["run", "claim"],
    "wait": ["wait", "claim-7"],
    "diff": ["diff", "claim-7", "2"],
    "replay": ["replay", "claim-7"],
    "dead-letters list grouped": ["dead-letters", "list", "--grouped"],
    "dead-letters dry-run": ["dead-letters", "retry", "--all", "--dry-run"],
}
EVERY = {name: arguments for name, (arguments, *_) in COMMANDS.items()} | OTHERS


@pytest.mark.parametrize("command", EVERY)
def test_each_document_has_its_shape(command: str, api: FakeApi, run: Run) -> None:
    api.outcomes = [("WAIT_OUTCOME_DONE", context())]
    said = json.loads(run(*EVERY[command], "--json").stdout)
    schema = shapes.of_command(NAMES.get(command, command))
    assert faults(schema, said) == []
    assert _numbers_as_texts(said) == []


def test_a_line_of_watch_has_its_shape(run: Run) -> None:
    lines = run("watch", "claim-7", "--json").stdout.splitlines()
    schema = shapes.of_command("watch")
    assert [faults(schema, json.loads(line)) for line in lines] == [[]] * 6


def test_a_failure_has_its_shape(run: Run) -> None:
    failed = run("list", "--address", "127.0.0.1:1", "--json")
    assert faults(shapes.of_command("failure"), json.loads(failed.stderr)) == []


def test_every_shape_can_be_printed_and_is_of_a_command_that_is_tried(run: Run) -> None:
    listed = run("schema").stdout.splitlines()
    tried = {NAMES.get(name, name) for name in EVERY}
    elsewhere = {
        "dead-letters edit",
        "dead-letters show",
        "dev",
        "init",
        "migrate",
        "failure",
        "start many",
        "watch",
    }
    assert set(listed) == tried | elsewhere
    for name in listed:
        assert json.loads(run("schema", *name.split(" ")).stdout) == shapes.of_command(name)
    assert run("schema", "nothing").exit_code == 2


def test_a_shape_refuses_what_is_something_else() -> None:
    schema = shapes.of_command("status")
    assert faults(schema, {"outbox_size": "5"})
    assert "/items is missing" in faults(shapes.of_command("list"), {"more": False})


def test_tasks_that_were_listed_can_be_registered_as_they_are() -> None:
    spec = TaskSpec(task_id="a", event_types=["x"], on_failure="ON_FAILURE_CONTINUE")
    spec.timeout.FromMilliseconds(1500)
    told = message_json.as_dict(spec)
    assert (told["timeout"], told["on_failure"]) == (1.5, "CONTINUE")
    again = TaskSpec()
    message_json.parse(told, again)
    assert again == spec


def _numbers_as_texts(said: object, place: str = "") -> list[str]:
    """Members that are texts of nothing but digits, as proto JSON has 64-bit numbers."""
    if isinstance(said, dict):
        return [each for key, value in said.items() for each in _numbers_as_texts(value, key)]
    if isinstance(said, list):
        return [each for value in said for each in _numbers_as_texts(value, place)]
    return (
        [place]
        if isinstance(said, str) and said.isdigit() and not place.endswith("_version")
        else []
    )
