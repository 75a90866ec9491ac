"""Long work: a bar where there is a terminal, and after Ctrl-C how far it came and what goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
from cli.conftest import until_shown
from cli.fake_api import FakeApi
from support.terminal import Terminal

COMMAND = [sys.executable, "-m", "waystation_cli"]


def after_ctrl_c(running: subprocess.Popen[str]) -> str:
    """What it says on stderr."""
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    return said


def begun(*words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_terminal_shows_how_far_retiring_is(api: FakeApi, terminal: Terminal) -> None:
    api.hold_bulk = True
    api.left = [10, 4]
    terminal.type("waystation handlers retire old --yes")
    until_shown(terminal, "6/10")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 130, terminal.output
    assert "Stopped. 6 of 10 deliveries are dead letters." in terminal.output
    assert "waystation handlers retire old --yes" in terminal.output


def test_a_terminal_shows_how_many_of_a_file_are_started(
    api: FakeApi, terminal: Terminal, tmp_path: Path
) -> None:
    api.answered_start = "r-1"
    (tmp_path / "claims.ndjson").write_text("{}\n\n{}\n{}\n")
    terminal.type("waystation start claim --many claims.ndjson --request-id r > started")
    until_shown(terminal, "1/3")
    terminal.interrupt()
    assert terminal.wait_prompt(30) == 130, terminal.output
    assert (tmp_path / "started").read_text() == "1: claim-7\n"
    assert "Stopped. 1 lines were started; later ones may have been." in terminal.output
    assert "  waystation start claim --many claims.ndjson --request-id r\n" in terminal.output


def test_ctrl_c_in_a_migration_leaves_the_schema_as_it_was(empty_database_url: str) -> None:
    with closing(psycopg.connect(empty_database_url, autocommit=True)) as other:
        # It waits for that lock of another migration: stopping it must not need the other one's end.
        other.execute("SELECT pg_advisory_lock(7400)")
        with begun("migrate", "--database-url", empty_database_url) as running:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            deadline = time.monotonic() + 30
            while not (found := other.execute(waiting).fetchone()) or not found[0]:
                assert time.monotonic() < deadline
                assert running.poll() is None
            said = after_ctrl_c(running)
        assert said == (
            "Stopped. The steps are made together, so the schema is as it was; the same command "
            "migrates it.\n"
        )
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert other.execute(tables).fetchone() == (0,)


def test_a_terminal_shows_the_steps_of_a_migration(
    empty_database_url: str, terminal: Terminal
) -> None:
    terminal.type(f"waystation migrate --database-url {empty_database_url}")
    assert terminal.wait_prompt(60) == 0, terminal.output
    assert "migrate " in terminal.output
    assert "The schema was migrated from version none to " in terminal.output
