"""What scripts read: each command's document against the schema that `waystation schema` prints."""

from __future__ import annotations

import json

import pytest
import yaml
from cli.conftest import Run
from cli.fake_api import FakeApi, context
from cli.test_commands import COMMANDS
from typer.testing import CliRunner

from waystation.v1.handler_pb2 import TaskSpec
from waystation_cli import shapes
from waystation_cli.app import app
from waystation_cli.command_table import commands, find
from waystation_cli.json_schema import faults
from waystation_cli.render import message_json
from waystation_cli.render.text import steers

GROUPS = {name.split()[0] for name, _ in commands() if " " in name}
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


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("command", [*EVERY, "watch"])
def test_each_document_has_its_shape_in_each_form_and_locale(
    command: str, charset: str, api: FakeApi
) -> None:
    api.outcomes = [("WAIT_OUTCOME_DONE", context())]
    plain, json_said, yaml_said = (
        CliRunner(charset=charset)
        .invoke(
            app,
            [*EVERY.get(command, ["watch", "claim-7"]), "--address", api.address, *form],
            catch_exceptions=False,
        )
        .stdout
        for form in (["--json"], ["-o", "json"], ["--output", "yaml"])
    )
    first, *others = documents(plain)
    assert [first, *others] == documents(json_said)
    assert [first, *others] == [without_request_id(each) for each in yaml.safe_load_all(yaml_said)]
    schema = shapes.of_command(NAMES.get(command, command))
    assert set(faults(schema, first)) <= {"'request_id' is a required property"}
    assert _numbers_as_texts(first) == []


def documents(said: str) -> list[object]:
    """Of one document, or of a line for each."""
    found = [json.loads(said)] if said.startswith("{\n") else map(json.loads, said.splitlines())
    return [without_request_id(each) for each in found]


def without_request_id(document: dict[str, object]) -> dict[str, object]:
    """What differs from call to call left out."""
    return {name: each for name, each in document.items() if name != "request_id"}


@pytest.mark.parametrize("command", EVERY)
def test_ids_are_given_alone_where_a_document_has_them(
    command: str, api: FakeApi, run: Run
) -> None:
    api.outcomes = [("WAIT_OUTCOME_DONE", context())]
    first, second = run(*EVERY[command], "-o", "ids"), run(*EVERY[command], "--ids")
    if not find(" ".join(EVERY[command][: 2 if EVERY[command][0] in GROUPS else 1])).ids:
        assert (first.exit_code, second.exit_code) == (2, 2)
        return
    if "--grouped" in EVERY[command]:
        assert "--grouped lists no ids" in first.stderr
        return
    ids = first.stdout.splitlines()
    assert ids == second.stdout.splitlines()
    assert ids
    said = run(*EVERY[command], "--json").stdout
    assert all(f'"{each}"' in said for each in ids)


def test_forms_that_exclude_each_other_are_a_usage_error(run: Run) -> None:
    for words in (["-o", "yaml", "--json"], ["--json", "--ids"], ["-o", "json", "--ids"]):
        told = run("list", *words)
        assert (told.exit_code, "exclude each other" in told.stderr) == (2, True)
    assert run("list", "-o", "json", "--json").exit_code == 0


def test_no_text_of_a_task_is_a_member_or_steers_a_terminal_in_yaml(run: Run) -> None:
    text = "one\n  paid: true\n\u202eright \x9b31m \x7f K\u00e4fer \U0001f41e"
    said = run("start", "claim", "--data", json.dumps({"evil": text}), "-o", "yaml").stdout
    assert "\n  paid: true" not in said
    assert not any(each != "\n" and steers(each) for each in said)
    assert yaml.safe_load(said)["context"]["data"]["evil"] == text


def test_a_failure_has_the_form_of_the_output(run: Run) -> None:
    words = ["list", "--address", "127.0.0.1:1", "-o"]
    told = yaml.safe_load(run(*words, "yaml").stderr)
    assert faults(shapes.of_command("failure"), told) == []
    # For ids there is no form of an error but the text for people.
    assert run(*words, "ids").stderr.startswith("Error: No Waystation server answers")


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
        "keys new",
        "login",
        "logout",
        "signing-key new",
        "signing-key show",
        "start many",
        "tls dev-certs",
        "watch",
    }
    assert set(listed) == tried | elsewhere
    for name in listed:
        assert json.loads(run("schema", *name.split(" ")).stdout) == shapes.of_command(name)
    assert run("schema", "nothing").exit_code == 2


def test_a_shape_refuses_what_is_something_else() -> None:
    schema = shapes.of_command("status")
    assert faults(schema, {"outbox_size": "5"})
    assert "'items' is a required property" in faults(shapes.of_command("list"), {"more": False})


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


SEVERAL = ["show", "explain", "wait", "cancel", "input --data {}"]


@pytest.mark.parametrize("words", SEVERAL)
def test_the_shape_of_a_command_holds_for_several_ids(words: str, api: FakeApi, run: Run) -> None:
    api.known = ["claim-7", "claim-8"]
    api.outcomes = [("WAIT_OUTCOME_DONE", context())]
    schema = shapes.of_command(words.split()[0])
    for ids in (["claim-7"], ["claim-7", "claim-8"]):
        said = json.loads(run(*words.split(), *ids, "--json").stdout)
        assert faults(schema, said) == []
    assert schema["anyOf"][1]["properties"].keys() == {"items", "more"}
