"""The command line against a server of a later release: what it does not know, it shows or passes by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cli.fake_api import FakeApi, context, serving
from cli.test_commands import COMMANDS
from google.protobuf.message import Message
from support.later import UNKNOWN, later
from typer.testing import CliRunner

from waystation.v1 import workflow_service_pb2
from waystation_cli.app import app
from waystation_cli.outcome import TIMED_OUT


def _later(answer: Callable[..., Any]) -> Callable[..., Any]:
    def answered(self: FakeApi, request: Message, call: Any) -> Any:
        response = answer(self, request, call)
        if isinstance(response, Message):
            return later(response)
        return map(later, response)

    return answered


class LaterApi(FakeApi):
    """Answers as FakeApi, with enums that have grown; a watch has an entry of a new kind, too."""

    def WatchWorkflow(self, request: Any, call: Any) -> Iterator[Any]:
        response = workflow_service_pb2.WatchWorkflowResponse
        yield response(status=UNKNOWN)  # type: ignore[arg-type]
        for found in super().WatchWorkflow(request, call):
            yield later(found)


RPCS = [
    name
    for name, method in vars(FakeApi).items()
    if name[0].isupper() and callable(method) and name != "WatchWorkflow"
]
for _name in RPCS:
    setattr(LaterApi, _name, _later(getattr(FakeApi, _name)))


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    with serving(LaterApi()) as api:
        api.outcomes = [("WAIT_OUTCOME_DONE", context())]
        monkeypatch.setenv("WAYSTATION_ADDRESS", api.address)
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["person", "script"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_stumbles(
    command: str, form: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _run(monkeypatch, *COMMANDS[command][0], *form)
    assert result.exit_code in (0, 1), result.output
    assert result.stdout


@pytest.mark.parametrize("command", [["wait", "claim-7"], ["run", "claim"]])
def test_an_outcome_that_is_unknown_is_as_timed_out(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = _run(monkeypatch, *command)
    assert result.exit_code == TIMED_OUT
    assert "It is still open" in result.stdout


def test_an_entry_of_a_new_kind_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    result = _run(monkeypatch, "watch", "claim-7", "--json")
    assert len(result.stdout.splitlines()) == 6
