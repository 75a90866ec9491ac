"""Every example of every command's help, typed against a running system that is in the state of which it speaks."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.system import BINARIES, Embedded
from typer.testing import CliRunner, Result

from localservers.ports import free_port
from waystation_cli import command_table
from waystation_cli.app import app
from waystation_cli.outcome import DONE, NO, WAITING_FOR_INPUT

SHOP = Path(__file__).parent / "services" / "shop.py"
FILES = {
    "answer.json": '{"approved": false}',
    "order.json": '{"amount": 120}',
    "orders.jsonl": '{"data": {"amount": 1}}\n{"data": {"amount": 2}, "correlation_id": "case-8"}\n',
    "token.txt": "wst_any\n",
    "tasks.json": '[{"task_id": "appraise", "event_types": ["claim.seen"], "workflow_types": ["claim"]}]',
    "editor": '#!/bin/sh\necho \'{"card": "good"}\' > "$1"\n',
}
ANSWERS = {"diff": {NO}, "wait": {DONE, WAITING_FOR_INPUT}}
"""Exit codes of those that do not end with 0."""

EXAMPLES = [
    pytest.param(name, typed, id=f"{name}-{number}")
    for name, command in command_table.commands()
    for number, typed in enumerate(command.examples.values())
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("shop")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "editor").chmod(0o755)
    with Embedded(folder) as system:
        system.start_handlers(SHOP)
        for words in (
            "run order --id order-7 --correlation-id case-7 --data '{\"amount\": 120}'",
            'run order --id order-8 --data \'{"card": "bad"}\'',
            "handlers register --service archive --host 127.0.0.1 --port 1 --task old_charge:old:order "
            "--task older_charge:old:order",
            *(f"run refund --id refund-{number}" for number in (1, 2, 3, 7)),
        ):
            called(system, words)
        yield system


def called(system: Embedded, words: str) -> Result:
    return CliRunner().invoke(
        app, shlex.split(words), input="y\n", env={"WAYSTATION_ADDRESS": system.address}
    )


def an_unpaid_order(system: Embedded) -> None:
    called(system, 'run order --data \'{"card": "bad"}\'')


def a_service_that_has_gone(system: Embedded) -> None:
    claims = "register --service claims --host 127.0.0.1 --port 1 --task a:claim.processed:claim"
    called(system, f"handlers {claims}")


def an_open_refund(system: Embedded) -> None:
    called(system, "run refund")


def two_profiles(system: Embedded) -> None:
    for name in ("default", "staging"):
        in_bash(
            f"waystation login --profile {name} < {system.folder}/token.txt",
            WAYSTATION_ADDRESS=system.address,
        )


def an_old_token(system: Embedded) -> None:
    called(system, "tokens create old-deploy --role client")


def namespaces_to_delete(system: Embedded) -> None:
    for name in ("acme", "small"):
        called(system, f"namespaces create {name}")


BEFORE: dict[str, Callable[[Embedded], None]] = {
    **{f"dead-letters {each}": an_unpaid_order for each in ("show", "edit", "retry", "discard")},
    "handlers unregister": a_service_that_has_gone,
    "cancel": an_open_refund,
    "logout": two_profiles,
    "namespaces delete": namespaces_to_delete,
    "tokens revoke": an_old_token,
}


@pytest.mark.parametrize(
    ("name", "typed"), [each for each in EXAMPLES if each.values[0] not in ("dev", "migrate")]
)
def test_each_example_works(
    name: str, typed: str, shop: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder))
    monkeypatch.setenv("VISUAL", str(shop.folder / "editor"))
    BEFORE.get(name, lambda system: None)(shop)
    if re.search("[$<>|]", typed):
        code, said = in_bash(typed, WAYSTATION_ADDRESS=shop.address)
    else:
        done = called(shop, typed.removeprefix("waystation "))
        code, said = done.exit_code, done.output
    assert code in ANSWERS.get(name, {DONE}), said


def test_every_command_has_two_examples_which_are_of_it() -> None:
    for name, command in command_table.commands():
        assert len(command.examples) == 2, name
        assert all(each.startswith(f"waystation {name}") for each in command.examples.values())


@pytest.mark.parametrize("typed", command_table.find("migrate").examples.values())
def test_each_example_of_migrate_works(typed: str, empty_database_url: str) -> None:
    code, said = in_bash(typed, WAYSTATION_DATABASE_URL=empty_database_url)
    assert code == DONE, said


@pytest.mark.parametrize("typed", command_table.find("dev").examples.values())
def test_each_example_of_dev_works(typed: str, tmp_path: Path) -> None:
    here = {"WAYSTATION_API_PORT": "0", "WAYSTATION_DATA_DIR": str(tmp_path / "data")}
    process = subprocess.Popen(
        ["bash", "-c", "exec " + re.sub(r"(?<=--port )\d+", str(free_port()), typed)],
        env=environment(here),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.terminate()
        assert process.wait(30) == DONE
    finally:
        process.kill()
        process.communicate()


def in_bash(typed: str, **settings: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", typed], env=environment(settings), capture_output=True, text=True
    )
    return done.returncode, done.stderr


def environment(settings: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}", **settings}
