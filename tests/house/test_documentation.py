"""What the documentation says can be true or false: links, settings, commands, targets, the README's
handler."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from localservers.ports import free_port
from waystation.v1 import (
    dead_letter_service_pb2_grpc,
    delivery_completion_service_pb2_grpc,
    handler_registry_service_pb2_grpc,
    system_service_pb2_grpc,
    task_handler_service_pb2_grpc,
    workflow_service_pb2_grpc,
)
from waystation.v1.task_handler_service_pb2 import HandleEventRequest
from waystation_api.dead_letters.service import DeadLetterService
from waystation_api.deliveries.service import DeliveryCompletionService
from waystation_api.handlers.service import HandlerRegistryService
from waystation_api.settings import ApiSettings
from waystation_api.system.service import SystemService
from waystation_api.workflows.service import WorkflowService
from waystation_cli.app import app
from waystation_cli.outcome import NO_ANSWER, REFUSED
from waystation_router.settings import RouterSettings
from waystation_worker import HandlerService
from waystation_worker.servicer import TaskServicer

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    if name and (ROOT / name).exists()
)
SERVICERS = {
    workflow_service_pb2_grpc.WorkflowServiceServicer: WorkflowService,
    task_handler_service_pb2_grpc.TaskHandlerServiceServicer: TaskServicer,
    delivery_completion_service_pb2_grpc.DeliveryCompletionServiceServicer: DeliveryCompletionService,
    handler_registry_service_pb2_grpc.HandlerRegistryServiceServicer: HandlerRegistryService,
    dead_letter_service_pb2_grpc.DeadLetterServiceServicer: DeadLetterService,
    system_service_pb2_grpc.SystemServiceServicer: SystemService,
}

# Read by processes that have no settings class of pydantic's: the SDK and the command line.
OTHER_VARIABLES = {
    "WAYSTATION_IDENTITY_KEYS",
    "WAYSTATION_IDENTITY_KEYS_FILE",
    "WAYSTATION_ADDRESS",
    "WAYSTATION_ADVERTISE_HOST",
    "WAYSTATION_DATA_DIR",
    "WAYSTATION_HANDLER_HOST",
    "WAYSTATION_HANDLER_METRICS_HOST",
    "WAYSTATION_HANDLER_METRICS_PORT",
    "WAYSTATION_HANDLER_PORT",
    "WAYSTATION_TLS",
    "WAYSTATION_TLS_CA",
    "WAYSTATION_TLS_SERVER_NAME",
    "WAYSTATION_PROFILE",
    "WAYSTATION_TOKEN",
    "WAYSTATION_NAMESPACE",
    "WAYSTATION_TOKEN_FILE",
}

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bWAYSTATION_[A-Z_]+\b")


def _blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The page's code blocks: language and text."""
    language, lines = "", None
    for line in page.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.startswith("```"):
            if lines is not None:
                lines.append(line)
        elif lines is None:
            language, lines = line[3:].strip(), []
        else:
            yield language, "".join(lines)
            lines = None
    assert lines is None, f"{page.name} has a code block without an end"


def _anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    broken = []
    for link in _LINK.findall(prose):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


def test_the_settings_are_those_that_the_servers_know() -> None:
    fields = {*ApiSettings.model_fields, *RouterSettings.model_fields}
    known = {f"WAYSTATION_{field.upper()}" for field in fields}
    operations = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `(WAYSTATION_[A-Z_]+)` \|", operations, re.M))
    assert known - table == set(), "settings that docs/operations.md does not have"
    for page in PAGES:
        named = set(_VARIABLE.findall(page.read_text(encoding="utf-8")))
        assert named <= known | OTHER_VARIABLES, page.name


def _typed_commands() -> list[str]:
    """Each line that calls `waystation`, in any page, as it is typed."""
    commands = []
    for page in PAGES:
        for language, block in _blocks(page):
            if language == "":
                joined = block.replace("\\\n", " ")
                commands += [line for line in joined.splitlines() if line.startswith("waystation ")]
    return sorted(set(commands))


@pytest.mark.parametrize("line", _typed_commands())
def test_every_waystation_command_can_be_typed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens there: a command that is understood says so, another is misused (2).
    nowhere = free_port()
    monkeypatch.setenv("WAYSTATION_ADDRESS", f"127.0.0.1:{nowhere}")
    monkeypatch.setenv("WAYSTATION_DATABASE_URL", f"postgresql://nobody@127.0.0.1:{nowhere}/none")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corrected.json").write_text("{}")
    words = shlex.split(line, comments=True)[1:]
    # What reads the output is another program.
    words = words[: words.index("|")] if "|" in words else words
    if words[0] == "dev":
        words.append("--help")
    # What a profile fills in ends with the command.
    with mock.patch.dict(os.environ, XDG_CONFIG_HOME=str(tmp_path)):
        result = CliRunner().invoke(app, words, input="y\n")
    without_server = "--help" in words or words[0] in ("schema", "tls", "keys")
    expected = {0} if without_server else {NO_ANSWER}
    if words[:2] == ["signing-key", "new"]:
        expected = {0}
    named = words[0] in ("login", "logout") or "--profile" in words
    if named or words[:2] == ["signing-key", "show"]:
        # Its file or its profile is not there: it is understood.
        expected = {REFUSED, NO_ANSWER}
    assert result.exit_code in expected, result.output


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
        for language, block in _blocks(page):
            if language == "":
                named |= set(re.findall(r"^make ([a-z-]+)", block, re.M))
        assert named <= targets, page.name


async def test_the_readme_has_a_handler_of_fifteen_lines() -> None:
    source = next(text for language, text in _blocks(ROOT / "README.md") if language == "python")
    assert len(source.splitlines()) == 15
    names: dict[str, object] = {}
    exec(source.replace("service.run()", ""), names)
    service = names["service"]
    assert isinstance(service, HandlerService)
    request = HandleEventRequest(task_id="greet", attempt=1)
    request.event.payload["name"] = "Ada"
    answer = await service.answer(request)
    assert answer.result.operations.items[0].set.string_value == "Hello, Ada"
    assert [event.event_type for event in answer.result.events] == ["greeting.made"]
    request = HandleEventRequest(task_id="finish", attempt=1)
    request.context.data["greeting"] = "Hello, Ada"
    assert (await service.answer(request)).result.complete.output["greeting"] == "Hello, Ada"


def test_nothing_of_the_contract_is_left_unimplemented() -> None:
    """A servicer that lacks a method would answer it by the generated class's own UNIMPLEMENTED."""
    for generated, servicer in SERVICERS.items():
        for name, method in vars(generated).items():
            if callable(method):
                assert getattr(servicer, name) is not method, f"{servicer.__name__}.{name}"
