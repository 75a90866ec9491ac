"""What the log of a service says of tasks that raise: the whole of it once, own calls first, then a line each."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from waystation.v1.task_handler_service_pb2 import HandleEventRequest
from waystation_worker import HandlerService, TaskContext
from waystation_worker.failure_log import MAX_KNOWN, WHOLE_EVERY, FailureLog
from waystation_worker.invocation import Invoker

FORMATTER = logging.Formatter("%(message)s")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Written:
    """The log as a formatter writes it, one text for each record."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def texts(self) -> list[str]:
        return [FORMATTER.format(record) for record in self._caplog.records]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Written:
    caplog.set_level(logging.INFO, "waystation_worker")
    return Written(caplog)


def call_of(
    attempt: int = 1, workflow: str = "claim-7", task_id: str = "price"
) -> HandleEventRequest:
    request = HandleEventRequest(task_id=task_id, attempt=attempt)
    request.context.workflow_instance_id = workflow
    request.event.event_id = "e-1"
    return request


def price(ctx: TaskContext) -> None:
    json.dumps({"price": deeper(ctx)})


def deeper(ctx: TaskContext) -> object:
    try:
        json.loads("no JSON")
    except ValueError as error:
        raise RuntimeError(f"the answer of {ctx.workflow_id} is unreadable\nsecond line") from error


def fail_with(error: Exception) -> object:
    raise error


def caught(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


async def test_a_failure_is_whole_once_then_a_line_with_its_call_and_a_count(
    written: Written,
) -> None:
    service = HandlerService("prices")
    service.task(events=["workflow.started"], workflow_types=["*"])(price)
    invoker = Invoker(service.tasks, "prices", 2)
    for number in (1, 2, 3):
        await invoker.call(call_of(attempt=number, workflow=f"claim-{number}"), None)
    invoker.close()

    first, *others = written.texts
    head, *traceback = first.splitlines()
    place = f"test_failure_log.py:{deeper.__code__.co_firstlineno + 4} in deeper"
    assert head == (
        f"task=price attempt=1 workflow=claim-1 event=e-1 raised RuntimeError at {place}: "
        "the answer of claim-1 is unreadable second line"
    )
    # The task's own calls are shown, and of the libraries' the last; nothing of the SDK's comes before them.
    shown = [line for line in traceback if line.startswith(('  File "', "  ["))]
    assert [line.split(", ")[-1].rstrip("]") for line in shown] == [
        "in deeper",
        "in raw_decode",
        "in price",
        "in deeper",
    ]
    assert shown[1].startswith("  [3 calls in libraries, the last: ")
    assert "The above exception was the direct cause of the following exception:" in first
    assert first.endswith("RuntimeError: the answer of claim-1 is unreadable\nsecond line")
    # Later ones name their own call and text, and how often it was.
    assert [line.partition(" in ")[0] for line in others] == [
        f"task=price attempt={n} workflow=claim-{n} event=e-1 raised RuntimeError at "
        f"{place.partition(' in ')[0]}"
        for n in (2, 3)
    ]
    assert ["again (2 times in " in others[0], "again (3 times in " in others[1]] == [True, True]
    assert others[1].endswith(": the answer of claim-3 is unreadable second line")
    assert not any("\n" in line for line in others)


def test_after_a_minute_the_same_failure_is_whole_again(written: Written) -> None:
    clock = Clock()
    log = FailureLog(clock)
    for seconds in (0, WHOLE_EVERY - 1, 1, 1):
        clock.now += seconds
        log.write(call_of(), price, caught(lambda: json.loads("{")), "no JSON")
    assert ["\n" in text for text in written.texts] == [True, False, True, False]
    assert f"again (2 times in {WHOLE_EVERY - 1:g} s)" in written.texts[1]


def test_failures_of_another_task_class_or_place_are_others(written: Written) -> None:
    log = FailureLog(Clock())

    def one() -> None:
        raise KeyError("a")

    def another() -> None:
        raise KeyError("a")

    def of_another_class() -> None:
        raise LookupError("a")

    for act in (one, another, of_another_class, one, another, of_another_class):
        log.write(call_of(), price, caught(act), "a")
    log.write(call_of(task_id="other"), price, caught(one), "a")
    assert ["\n" in text for text in written.texts] == [True, True, True, False, False, False, True]


def test_a_failures_text_cannot_steer_the_terminal_that_shows_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The text may have what a stranger wrote into a payload."""
    logger = logging.getLogger("waystation_worker")
    shown = logging.StreamHandler(sys.stdout)
    logger.addHandler(shown)
    try:
        evil = ValueError("no price for \x1b[2J\x9b31m\u202ecba\x07")
        FailureLog().write(call_of(), price, caught(lambda: fail_with(evil)), str(evil))
    finally:
        logger.removeHandler(shown)
    said = capsys.readouterr().out
    assert said.count(r"no price for \x1b[2J\x9b31m\u202ecba\x07") == 2, said
    assert all(character.isprintable() or character in "\n\t" for character in said)


def test_what_is_remembered_is_bounded(written: Written) -> None:
    log = FailureLog(Clock())
    error = caught(lambda: json.loads("{"))
    for number in (*range(MAX_KNOWN + 1), MAX_KNOWN, 0):
        log.write(call_of(task_id=f"task-{number}"), price, error, "no JSON")
    assert ["\n" in text for text in written.texts[-3:]] == [True, False, True]


def test_the_code_of_the_tasks_package_is_own_wherever_it_is_installed(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages" / "claims_service"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "tasks.py").write_text(
        "from claims_service.rules import check\n\ndef task(ctx):\n    check()\n"
    )
    (folder / "rules.py").write_text("import json\n\ndef check():\n    json.loads('{')\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    module: ModuleType = import_module("claims_service.tasks")
    try:
        log = FailureLog(Clock())
        log.write(call_of(), module.task, caught(lambda: module.task(None)), "no JSON")
    finally:
        for name in [name for name in sys.modules if name.startswith("claims_service")]:
            del sys.modules[name]
    assert "raised JSONDecodeError at rules.py:4 in check: no JSON" in written.texts[0]
    assert "in task\n    check()\n" in written.texts[0]


PAGE = Path(__file__).parents[2] / "docs" / "handlers.md"


def _without_this_machine(log: str) -> str:
    log = re.sub(r'File "[^"]*/([^/"]+)"', r'File "\1"', log)
    # Of the library only its name is ours to know.
    return re.sub(r'(the last: File "[^"]+", line )[0-9]+', r"\1N", log)


def test_the_page_shows_what_is_logged(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (shown,) = [block for block in blocks if "raised TypeError" in block]
    above = "import io, json, decimal\nrates, report = decimal.Decimal(1), io.StringIO()\n"
    code = above + "\n" * 16 + "def decide(ctx):\n    json.dump(rates, report)\n"
    (tmp_path / "claims.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    claims = import_module("claims")
    monkeypatch.delitem(sys.modules, "claims")
    error = caught(lambda: claims.decide(None))
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]

    request = call_of(task_id="decide")
    request.event.event_id = "01a21efc"
    FailureLog(Clock()).write(request, claims.decide, error, str(error))
    written = logging.Formatter("%(levelname)s %(name)s %(message)s").format(caplog.records[0])
    assert _without_this_machine(written) == _without_this_machine(shown.rstrip("\n"))


def test_handlers_that_write_no_text_get_the_exception_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = caught(lambda: json.loads("{"))
    FailureLog(Clock()).write(call_of(), price, error, "no JSON")
    info = caplog.records[0].exc_info
    assert info is not None
    assert info[1] is error


def test_at_debug_each_failure_is_whole_and_nothing_is_folded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "waystation_worker")
    log = FailureLog(Clock())
    for _ in range(2):
        log.write(call_of(), price, caught(lambda: json.loads("{")), "no JSON")
    texts = Written(caplog).texts
    assert [text.count("/json/") for text in texts] == [3, 3]


def _endless() -> None:
    _endless()


def _grouped() -> None:
    errors: list[Exception] = [KeyError("first"), OSError("second")]
    raise ExceptionGroup("two", errors)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(9)


def _unspeakable() -> None:
    raise Unspeakable


@pytest.mark.parametrize(
    ("act", "parts"),
    [
        (_endless, ["RecursionError", "Previous line repeated"]),
        (_grouped, ["ExceptionGroup", "KeyError: 'first'", "OSError: second"]),
        (_unspeakable, ["raised Unspeakable at test_failure_log.py"]),
    ],
)
def test_whatever_is_raised_is_written(
    written: Written, act: Callable[[], Any], parts: list[str]
) -> None:
    FailureLog(Clock()).write(call_of(), price, caught(act), "")
    (text,) = written.texts
    assert all(part in text for part in parts), text
