"""The command line against a server in this process that answers what a test gives it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.fake_api import FakeApi, serving
from support.terminal import Terminal
from typer.testing import CliRunner, Result

from waystation_cli.app import app

Run = Callable[..., Result]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving(FakeApi()) as fake:
        yield fake


@pytest.fixture
def run(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WAYSTATION_ADDRESS", api.address)
    # A proxy that answers nothing: loopback calls must not go there.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)

    return invoke


@pytest.fixture
def terminal(api: FakeApi, tmp_path: Path) -> Iterator[Terminal]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    opened = Terminal(tmp_path, {"PATH": path, "WAYSTATION_ADDRESS": api.address})
    yield opened
    opened.close()


def until_shown(terminal: Terminal, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in terminal.output:
        assert terminal.wait_prompt(0) is None, terminal.output
        assert time.monotonic() < deadline, terminal.output
        terminal.wait_change(1)
