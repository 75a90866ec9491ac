"""`waystation tls dev-certs`: files that servers and clients accept, again and again by the same authority."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from waystation_cli import shapes
from waystation_cli.app import app
from waystation_cli.json_schema import faults
from waystation_cli.outcome import REFUSED
from waystation_tls import ClientTls, ServerTls

PAIRS = ("ca", "api", "router", "handler", "client")


def made(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["tls", "dev-certs", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_what_it_makes_is_what_the_settings_take(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    code, said = made(str(folder), "--name", "api.example.com", "--name", "10.0.0.7", "--json")
    assert code == 0
    document = json.loads(said)
    assert faults(shapes.of_command("tls dev-certs"), document) == []
    assert {path.name for path in folder.iterdir()} == set(document["files"])
    ca = folder / "ca.pem"
    for name in PAIRS:
        assert (folder / f"{name}-key.pem").stat().st_mode & 0o777 == 0o600
    for name in ("api", "router", "handler"):
        tls = ServerTls(folder / f"{name}.pem", folder / f"{name}-key.pem", ca)
        assert tls.read().identity.names == (
            *(name, "localhost", "api.example.com", "127.0.0.1", "::1", "10.0.0.7"),
        )
    client = ClientTls(True, ca, folder / "client.pem", folder / "client-key.pem")
    assert client.faults() == []


def test_again_it_renews_by_the_same_authority(tmp_path: Path) -> None:
    made(str(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, said = made(str(tmp_path), "--days", "2")
    assert code == 0, said
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    same = {name for name in before if before[name] == after[name]}
    assert same == {"ca.pem", "ca-key.pem"}


def test_an_authority_without_its_key_is_left_alone(tmp_path: Path) -> None:
    made(str(tmp_path))
    key = tmp_path / "ca-key.pem"
    key.write_bytes((tmp_path / "api-key.pem").read_bytes())
    before = (tmp_path / "ca.pem").read_bytes()
    code, said = made(str(tmp_path))
    assert (code, "FILES_EXIST" in said) == (REFUSED, True), said
    key.unlink()
    code, said = made(str(tmp_path))
    assert (code, "FOLDER_NOT_USABLE" in said) == (REFUSED, True), said
    assert (tmp_path / "ca.pem").read_bytes() == before


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = made(str(tmp_path / "file"))
    assert (code, "FOLDER_NOT_USABLE" in said) == (REFUSED, True), said


@pytest.mark.parametrize("name", ["two words", "http://api", "api:7400", "-api", ""])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    assert made(str(tmp_path), "--name", name)[0] == 2
