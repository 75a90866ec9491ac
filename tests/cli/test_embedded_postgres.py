"""The embedded Postgres keeps what was committed, whoever is killed, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from waystation_cli.embedded.data_dir import DataDir, DataDirRefused, default_data_dir
from waystation_cli.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresFailed

# Another process that commits a row and stays until it is killed.
HOLDER = """
import sys
from pathlib import Path
import psycopg
from waystation_cli.embedded.data_dir import DataDir
from waystation_cli.embedded.postgres import EmbeddedPostgres

with DataDir(Path(sys.argv[1])) as held, EmbeddedPostgres(held.path) as postgres:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        print(postgres.pid, flush=True)
        sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The other process, and the process id of its Postgres."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def rows(folder: Path) -> int:
    with (
        DataDir(folder) as held,
        EmbeddedPostgres(held.path) as postgres,
        psycopg.connect(postgres.url) as connection,
    ):
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one row; the tests add to it."""
    path = tmp_path_factory.mktemp("embedded") / "data"
    with holder(path):
        pass
    return path


def test_data_outlives_an_orderly_end_and_nothing_runs_on(folder: Path) -> None:
    before = rows(folder)
    with DataDir(folder) as held, EmbeddedPostgres(held.path) as postgres:
        pid = postgres.pid
        with psycopg.connect(postgres.url) as connection:
            connection.execute("INSERT INTO kept VALUES (1)")
        with psycopg.connect(postgres.url) as connection:
            settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
    assert not psutil.pid_exists(pid)
    assert rows(folder) == before + 1
    assert {settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {
        "on"
    }
    assert settings["listen_addresses"] == ""


@pytest.mark.parametrize("victims", ["the process", "its Postgres too"])
def test_what_was_committed_outlives_sigkill(folder: Path, victims: str) -> None:
    before = rows(folder)
    with holder(folder) as (process, postgres):
        if victims == "its Postgres too":
            os.kill(postgres, signal.SIGKILL)
        process.kill()
        process.wait()
        assert rows(folder) == before + 1


def test_a_number_that_another_program_has_by_now_is_no_obstacle(folder: Path) -> None:
    before = rows(folder)
    note = folder / "postgres-16" / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{folder}\n0\n5432\n\n\n\nready\n")
    note.with_name(".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n{folder}\n0\n5432\n\n")
    assert rows(folder) == before


def test_two_at_once_are_refused_by_name(folder: Path) -> None:
    with holder(folder) as (process, _), pytest.raises(DataDirRefused) as refusal:
        DataDir(folder)
    assert f"process {process.pid}" in str(refusal.value)
    assert "--data-dir" in str(refusal.value)


def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20)
    with DataDir(folder) as held, EmbeddedPostgres(held.path) as postgres:
        psycopg.connect(postgres.url).close()
        elsewhere = postgres.url
    assert "long-" not in elsewhere


def test_data_of_another_postgres_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "postgres-16"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    with DataDir(tmp_path) as held, pytest.raises(EmbeddedPostgresFailed) as refusal:
        EmbeddedPostgres(held.path)
    assert "Postgres 15" in str(refusal.value)


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirRefused) as refusal:
        DataDir(tmp_path / "file" / "data")
    assert "WAYSTATION_DATA_DIR" in str(refusal.value)


def test_the_default_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert default_data_dir() == Path("/somewhere/waystation")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == Path.home() / ".local" / "share" / "waystation"
