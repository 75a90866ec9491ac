"""The first 15 minutes, as a stranger has them: every command is typed, every answer compared."""

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.transcripts import Player, Step, matches, read_steps, typed_characters

from localservers.ports import accepts_connections, free_port

ROOT = Path(__file__).parents[2]
TRANSCRIPTS = ROOT / "docs" / "first-15-minutes"

FIRST_SESSION = "handler.md"
FIRST_SESSION_SECONDS = 600
SLOW_CHARACTERS_PER_SECOND = 2

# The ports that the documents name, and what moves a server to another one.
PORTS = {
    7400: ["WAYSTATION_API_PORT", "UP_API_PORT"],
    7401: ["UP_ROUTER_1_PORT"],
    7402: ["UP_ROUTER_2_PORT"],
    7500: ["WAYSTATION_HANDLER_PORT", "UP_HANDLERS_PORT"],
    9090: ["UP_PROMETHEUS_PORT"],
    5432: ["UP_POSTGRES_PORT"],
    5672: ["UP_RABBITMQ_PORT"],
    15672: ["UP_MANAGEMENT_PORT"],
}


@pytest.fixture
def moved() -> Iterator[dict[int, int]]:
    """The documents' ports that somebody has, each with a free one to use instead; all of them
    while another run of these tests uses the usual ones."""
    with (Path(tempfile.gettempdir()) / "waystation-usual-ports.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = [port for port in PORTS if accepts_connections(port)]
        except BlockingIOError:
            taken = list(PORTS)
        yield {port: free_port() for port in taken}


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below pytest's own folder: run by root, that is closed again by every other run that
    # starts, to the account of our Postgres too.
    with tempfile.TemporaryDirectory(prefix="waystation-home-") as folder:
        yield Path(folder)


@pytest.fixture
def player(home: Path, moved: dict[int, int]) -> Iterator[Player]:
    """A home of its own, the usual ports where they are free, and nothing left afterwards."""
    environment = {**os.environ, "HOME": str(home), "UP_FOLDER": str(home / "up")}
    for port, other in moved.items():
        environment |= dict.fromkeys(PORTS[port], str(other))
    if 7400 in moved:
        environment["WAYSTATION_ADDRESS"] = f"127.0.0.1:{moved[7400]}"

    def written(text: str) -> str:
        text = text.replace(".waystation/production", environment["UP_FOLDER"])
        return re.sub(r"\b\d{4,5}\b", lambda n: str(moved.get(int(n[0]), n[0])), text)

    player = Player(ROOT, environment, written)
    try:
        yield player
    finally:
        player.close()
        subprocess.run(
            [sys.executable, ROOT / "scripts" / "production", "down"],
            env=environment,
            check=True,
            capture_output=True,
        )


@pytest.mark.parametrize("name", sorted(path.name for path in TRANSCRIPTS.glob("*.md")))
def test_what_a_stranger_types_works_as_written(player: Player, name: str) -> None:
    steps = read_steps((TRANSCRIPTS / name).read_text(encoding="utf-8"))
    assert len(steps) > 10
    began = time.monotonic()
    for step in steps:
        player.play(step)
    took = time.monotonic() - began
    if name == FIRST_SESSION:
        assert typed_characters(steps) / SLOW_CHARACTERS_PER_SECOND + took < FIRST_SESSION_SECONDS


def test_a_transcript_is_held_to_every_line() -> None:
    seen = "order-1  COMPLETED\n\n  total 10\nin 5 ms\n"
    assert matches(["order-1 COMPLETED", "total 10", "in ... ms"], seen)
    assert matches(["...", "in ..."], seen)
    assert not matches(["order-1 COMPLETED", "total 10"], seen)
    assert not matches(["order-1 COMPLETED", "in ... ms"], seen)
    assert not matches(["order-2 COMPLETED", "..."], seen)
    (step, _) = read_steps("```console\n$ false\nsome\n$ echo $?\n1\n```\n")
    assert (step.may_fail, step.expected, step.line) == (True, ["some"], 2)


def test_a_transcript_may_answer_and_look_again() -> None:
    blocks = ("```console 1\n$ serve\nready\n```", "```console 2\n$ ask\nSure?\n> y\n```")
    again = ("```console 1\nlater ...\n```", "```console 1\n^C\n```")
    serve, ask, answer, look, _ = read_steps("\n".join((*blocks, *again)))
    assert (serve.goes_on, serve.expected) == (True, ["ready"])
    assert (ask.goes_on, answer.goes_on, answer.typed) == (True, False, "> y")
    assert (look.typed, look.terminal, look.expected) == ("", "1", ["later ..."])
    assert typed_characters([ask, answer]) == len("ask\ny\n")


def test_what_a_transcript_looks_for_in_vain_fails_it(home: Path) -> None:
    player = Player(home, {**os.environ, "HOME": str(home)})
    try:
        player.play(Step(1, "1", "read -p 'Sure? ' x; echo $x", ["Sure?"], goes_on=True))
        player.play(Step(2, "1", "> yes", ["yes"]))
        with pytest.raises(AssertionError, match="it ended or hangs"):
            player.play(Step(3, "1", "", ["no"]))
    finally:
        player.close()
