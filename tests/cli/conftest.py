"""The command line against a server in this process that answers what a test gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from cli.fake_api import FakeApi, serving
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
