"""`waystation signing-key`: a key that can be used at once, and that nobody else can read."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from waystation_cli import shapes
from waystation_cli.app import app
from waystation_cli.json_schema import faults
from waystation_core.identity.signatures import Signatures, SigningKey
from waystation_worker.router_identity import KEYS, IdentityKeys


def typed(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["signing-key", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_key_is_closed_to_others_and_works_as_it_is_printed(folder: Path) -> None:
    code, said = typed("new", "signing.pem")
    assert code == 0
    file = folder / "signing.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    public = SigningKey.read(file).public
    assert f"export WAYSTATION_IDENTITY_KEYS={public}\n" in said
    assert f"export WAYSTATION_SIGNING_KEY={file}\n" in said
    assert "PRIVATE" not in said
    assert IdentityKeys.of(None, {KEYS: public}) is not None
    assert Signatures(file).of_calls("claims", "default")
    assert typed("show", "signing.pem") == (0, f"{public}\n")
    assert public != json.loads(typed("new", "other.pem", "--json")[1])["public_key"]


def test_what_it_prints_has_its_shape(folder: Path) -> None:
    for words in (("new", "signing.pem"), ("show", "signing.pem")):
        code, said = typed(*words, "--json")
        assert code == 0
        assert faults(shapes.of_command(f"signing-key {words[0]}"), json.loads(said)) == []


def test_nothing_is_overwritten_and_what_cannot_be_used_says_why(folder: Path) -> None:
    (folder / "there").write_text("mine")
    code, said = typed("new", "there")
    assert code == 7
    assert "nothing was written" in said
    assert (folder / "there").read_text() == "mine"
    assert "SIGNING_KEY_NOT_USABLE" in typed("show", "there")[1]
    assert "FOLDER_NOT_USABLE" in typed("new", "no/such/folder")[1]
