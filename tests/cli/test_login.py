"""Tokens on the command line: login and profiles, the variables, and that a token goes only where it is meant to."""

from __future__ import annotations

import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cli.fake_api import FakeApi
from typer.testing import CliRunner, Result

from waystation_cli import profiles, shapes
from waystation_cli.app import app
from waystation_cli.json_schema import faults

Typed = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Profiles of the test's own; what a command sets in the environment ends with the test."""
    before = dict(os.environ)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("WAYSTATION_ADDRESS", "WAYSTATION_TOKEN", "WAYSTATION_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def typed(*words: str, said: str = "", **environ: str) -> Result:
    """A command in an environment of its own."""
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        return CliRunner().invoke(app, list(words), input=said)
    finally:
        os.environ.clear()
        os.environ.update(before)


def login(api: FakeApi, *words: str, token: str = "wst_1") -> Result:
    return typed("login", "--address", api.address, *words, said=f"{token}\n")


def refusal(reason: str) -> tuple[grpc.StatusCode, str, str, dict[str, str]]:
    return grpc.StatusCode[reason], reason, "No.", {}


def sent(api: FakeApi) -> list[str | None]:
    """The tokens of the calls so far, each once where it follows itself; they are forgotten."""
    tokens, api.tokens = api.tokens, []
    return [token for token, _ in itertools.groupby(tokens)]


def test_a_login_is_used_by_later_commands_and_read_by_nobody_else(api: FakeApi) -> None:
    done = login(api)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(profiles.file().stat().st_mode) == 0o600
    assert "wst_1" not in done.output
    assert sent(api) == ["wst_1"]
    assert typed("list").exit_code == 0
    assert sent(api) == ["wst_1"]
    assert typed("logout").exit_code == 0
    assert typed("list", "--address", api.address).exit_code == 0
    assert sent(api) == [None]
    assert "wst_1" not in profiles.file().read_text()


def test_a_token_of_a_profile_goes_to_no_other_address(api: FakeApi) -> None:
    login(api)
    other = api.address.replace("127.0.0.1", "localhost")
    sent(api)
    assert typed("list", "--address", other).exit_code == 0
    assert typed("list", WAYSTATION_ADDRESS=other).exit_code == 0
    assert sent(api) == [None]


def test_the_environment_comes_before_the_profile_and_a_named_one_before_both(
    api: FakeApi, home: Path
) -> None:
    login(api)
    login(api, "--profile", "staging", token="wst_2")
    (home / "token").write_text("wst_file\n")
    sent(api)
    for environ in (
        {"WAYSTATION_TOKEN": "wst_env"},
        {"WAYSTATION_TOKEN_FILE": str(home / "token")},
        {"WAYSTATION_PROFILE": "staging"},
    ):
        assert typed("list", **environ).exit_code == 0
    assert sent(api) == ["wst_env", "wst_file", "wst_2"]
    named = typed(
        "--profile", "staging", "list", WAYSTATION_TOKEN="wst_env", WAYSTATION_ADDRESS="nowhere:1"
    )
    assert named.exit_code == 0, named.output
    behind = typed("list", "--profile", "staging", WAYSTATION_TOKEN="wst_env")
    assert behind.exit_code == 0, behind.output
    assert sent(api) == ["wst_2"]


def test_advice_goes_to_the_profile_that_was_named(api: FakeApi) -> None:
    login(api, "--profile", "staging")
    api.explained.blockers[0].remedy = "See `waystation handlers list`."
    behind = typed("explain", "claim-7", "--profile", "staging")
    before = typed("--profile", "staging", "explain", "claim-7")
    assert "`waystation handlers list --profile staging`" in behind.output
    assert behind.output == before.output
    assert "--profile" not in typed("explain", "claim-7", WAYSTATION_PROFILE="staging").output


def test_a_token_that_the_server_does_not_know_is_not_stored(api: FakeApi) -> None:
    api.refusals["ListHandlers"] = refusal("UNAUTHENTICATED")
    refused = login(api)
    assert refused.exit_code == 7
    assert not profiles.file().exists()
    api.refusals["ListHandlers"] = refusal("PERMISSION_DENIED")
    assert login(api).exit_code == 0


@pytest.mark.parametrize("token", ["", "two words", "wst_\x1b[2J"])
def test_what_cannot_be_a_token_is_not_sent(token: str, api: FakeApi) -> None:
    refused = login(api, token=token)
    assert (refused.exit_code, sent(api)) == (7, [])
    assert "TOKEN_NOT_USABLE" in refused.output


def test_no_token_is_sent_where_others_could_read_it(home: Path) -> None:
    refused = typed("list", "--address", "10.0.0.7:7400", "--json", WAYSTATION_TOKEN="wst_1")
    error = json.loads(refused.stderr)["error"]
    assert (refused.exit_code, error["reason"]) == (7, "TOKEN_NOT_SENT")
    assert "WAYSTATION_TLS" in error["message"]


def test_files_that_others_can_read_or_that_are_broken_are_refused(
    api: FakeApi, home: Path
) -> None:
    login(api)
    profiles.file().chmod(0o640)
    assert "chmod 600" in typed("list").output
    profiles.file().chmod(0o600)
    profiles.file().write_text("{}")
    assert "waystation login" in typed("list").output
    profiles.file().unlink()
    missing = typed("list", "--json", WAYSTATION_PROFILE="staging")
    assert json.loads(missing.stderr)["error"]["reason"] == "PROFILE_NOT_FOUND"
    for environ in (
        {"WAYSTATION_TOKEN_FILE": str(home / "none")},
        {"WAYSTATION_TOKEN_FILE": str(home / "none"), "WAYSTATION_TOKEN": "wst_1"},
    ):
        refused = typed("list", "--address", api.address, **environ)
        assert "TOKEN_NOT_USABLE" in refused.output


def test_refusals_say_what_to_do(api: FakeApi) -> None:
    for reason, advice in (
        ("UNAUTHENTICATED", "waystation login"),
        ("PERMISSION_DENIED", "waystation tokens create"),
    ):
        api.refusals["ListWorkflows"] = refusal(reason)
        refused = typed("list", "--address", api.address)
        assert refused.exit_code == 7
        assert advice in refused.output


def test_what_they_print_has_its_shape(api: FakeApi, home: Path) -> None:
    key = ("keys", "new", "ops", "--role", "admin")
    for words in (("login", "--address", api.address), ("logout",), key):
        done = typed(*words, "--json", said="wst_1\n")
        assert done.exit_code == 0, done.output
        command = " ".join(words[:2]) if words[0] == "keys" else words[0]
        assert faults(shapes.of_command(command), json.loads(done.stdout)) == []


def test_a_new_key_is_one_that_servers_take_and_only_its_hash_is_kept(home: Path) -> None:
    from waystation_core.identity.keys_file import digest_of_key, read_keys

    first: dict[str, Any] = json.loads(
        typed("keys", "new", "ops", "--role", "admin", "--namespace", "*", "--json").stdout
    )
    file = home / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = typed("keys", "new", "claims", "--role", "handler", "--service", "claims")
    assert second.exit_code == 0
    assert "WAYSTATION_KEYS_FILE" in second.output
    found = read_keys(file)
    assert {each.name for each in found.values()} == {"key:ops", "key:claims"}
    assert digest_of_key(first["key"]) in found
    assert first["key"] not in file.read_text()


def test_a_key_that_could_not_be_used_changes_nothing(home: Path) -> None:
    typed("keys", "new", "ops", "--role", "admin")
    before = (home / "keys.json").read_text()
    for words in (
        ["--role", "emperor"],
        ["--role", "handler"],
        ["--role", "admin", "--namespace", "No"],
    ):
        refused = typed("keys", "new", "bad", *words)
        assert refused.exit_code == 7, refused.output
        assert "KEYS_NOT_USABLE" in refused.output
    assert (home / "keys.json").read_text() == before
    assert [each.name for each in home.iterdir()] == ["keys.json"]
    (home / "other").write_text("[]")
    assert typed("keys", "new", "ops", "--role", "admin", "--file", "other").exit_code == 7
