"""`waystation init`: what it writes works as it is, and what it prints can be typed as it stands."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Terminal
from typer.testing import CliRunner

from localservers.ports import free_port
from waystation_cli import shapes
from waystation_cli.app import app
from waystation_cli.json_schema import faults

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "services/cli/src/waystation_cli/first_service"
NAMES = {"service.py", "test_service.py", "pytest.ini", "README.md"}
BINARIES = Path(sys.executable).parent


def init(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below pytest's folder, which the account of the embedded Postgres may not enter.
    with tempfile.TemporaryDirectory(prefix="waystation-home-") as folder:
        yield Path(folder)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    port = free_port()
    return {
        "HOME": str(home),
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "WAYSTATION_API_PORT": str(port),
        "WAYSTATION_ADDRESS": f"127.0.0.1:{port}",
        "WAYSTATION_HANDLER_PORT": str(free_port()),
    }


def test_the_commands_that_it_prints_work_as_printed(
    home: Path, environment: dict[str, str]
) -> None:
    terminals = [Terminal(home, environment) for _ in range(3)]
    try:
        last = terminals[2]
        last.type("waystation init 'my orders'")
        assert last.wait_prompt(60) == 0
        engine, service, run, test = re.findall(r"^  (\S.*)$", last.output, re.M)
        assert engine == "waystation dev"
        last.type(f"({test})")
        assert last.wait_prompt(120) == 0, last.output
        assert "7 passed" in last.output
        terminals[0].type(engine)
        _until(terminals[0], "is ready")
        terminals[1].type(service)
        _until(terminals[1], "registered orders")
        last.type(run)
        assert last.wait_prompt(60) == 0, last.output
        assert '"paid": 8' in last.output
    finally:
        for terminal in reversed(terminals):
            terminal.close()


def _until(terminal: Terminal, words: str) -> None:
    while words not in terminal.output:
        assert terminal.wait_prompt(0) is None, terminal.output
        terminal.wait_change(60)


def test_commands_of_an_installation_that_the_path_does_not_lead_to_have_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", "/opt/my env")
    code, said = init()
    assert code == 0
    assert f"  {BINARIES}/waystation dev\n" in said
    assert f"  {BINARIES}/python service.py\n" in said
    assert ". '/opt/my env'/bin/activate" in said
    # An installer of commands has linked the one, and another environment has a Python.
    (tmp_path / "waystation").symlink_to(BINARIES / "waystation")
    (tmp_path / "python").symlink_to((BINARIES / "python").resolve())
    said = init("again")[1]
    assert "  waystation dev\n" in said
    assert f"  cd again && {BINARIES}/python service.py\n" in said


def test_what_the_test_needs_is_said_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "The test needs no server:" in init("with")[1]
    monkeypatch.setitem(sys.modules, "pytest_asyncio", None)
    assert (
        "The test needs no server, but an installed waystation-worker[testing]:"
        in init("without")[1]
    )


@pytest.mark.parametrize("name", sorted(NAMES))
def test_it_writes_over_nothing_and_its_advice_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).symlink_to("nowhere")
    (tmp_path / "orders").touch()
    code, said = init()
    assert (code, {each.name for each in tmp_path.iterdir()}) == (7, {name, "orders"})
    assert f"has {name} already; nothing was written." in said
    assert "(ALREADY_EXISTS / FILES_EXIST)" in said
    (advice,) = re.findall("`waystation (.*)`", said)
    assert advice == "init orders-2"
    assert init("orders-2")[0] == 0
    assert {each.name for each in (tmp_path / "orders-2").iterdir()} == NAMES


def test_a_folder_that_cannot_be_used_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    code, said = init(str(tmp_path / "file"))
    assert code == 7
    assert "it is a file" in said
    assert "FOLDER_NOT_USABLE" in said

    really_open = Path.open

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        if mode == "x" and self.name == "pytest.ini":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really_open(self, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    code, said = init(str(tmp_path / "full"))
    assert code == 7
    assert "No space left" in said
    assert list((tmp_path / "full").iterdir()) == []


def test_a_script_reads_what_was_written_and_what_follows(tmp_path: Path) -> None:
    code, said = init(str(tmp_path / "new"), "--json")
    assert code == 0
    document = json.loads(said)
    assert faults(shapes.of_command("init"), document) == []
    assert set(document["files"]) == NAMES
    assert all((Path(document["folder"]) / name).exists() for name in document["files"])
    code, said = init(str(tmp_path / "new"), "--json")
    assert faults(shapes.of_command("failure"), json.loads(said)) == []


def test_a_wheel_has_the_files(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT / "services/cli")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    subprocess.run(
        [sys.executable, "-m", "waystation_cli", "init", "new"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
    )
    installed = tmp_path / "installed/waystation_cli/first_service"
    for name in NAMES:
        written = (tmp_path / "new" / name).read_bytes()
        assert written == (installed / name).read_bytes() == (TEMPLATES / name).read_bytes()


def test_its_readme_has_ten_lines_and_names_the_commands() -> None:
    lines = (TEMPLATES / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10
    assert '    waystation run order --data \'{"item": "tea", "count": 2}\'' in lines
