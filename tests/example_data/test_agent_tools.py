"""The agent's tools: what they find, what they refuse, and what becomes of it."""

import pytest

from research_agent.calls import TOOLS as KNOWN
from research_agent.tools.calculator import calculate
from research_agent.tools.reading import read_note, search
from research_agent.tools.service import TOOLS, build_service
from waystation_worker.testing import run_task


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2400 / 16", "150"),
        (" 1 + 2 * (3 - -4) ", "15"),
        ("2 ** 10", "1024"),
        ("1 / 3", "0.333333333333"),
        ("1e3 * 1.5", "1500"),
    ],
)
def test_the_calculator_knows_arithmetic(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 +",
        "1 / 0",
        "9 ** 9 ** 9 ** 9",
        "(-1) ** 0.5",
        "1e308 * 10",
        "0 * 1e999",
        "True + 1",
        "1j",
        "'a' * 10",
        "[1] * 99",
        "x",
        "abs(1)",
        "__import__('os').getcwd()",
        "(1).real",
        "1 if 1 else 2",
        "1 < 2",
        "6 // 4",
        "1\0",
        "(" * 100 + ")" * 100,
        "-" * 199 + "1e999",
        "9" * 199 + "*9",
        "1 + " * 60 + "1",
    ],
)
def test_the_calculator_refuses_everything_else(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        calculate(expression)


def test_the_library_is_searched_by_words_and_notes_are_read_by_name() -> None:
    assert "2,400 litres" in search("How much oil was in the store under the tower?")
    assert "lens" in search("What was ground in PARIS?").lower()
    assert "1983" in read_note(" Visit ")
    for call in (lambda: search("xylophone"), lambda: search(""), lambda: read_note("../secret")):
        with pytest.raises(ValueError, match=r"library|no such note"):
            call()


def test_the_model_is_told_of_the_tools_that_there_are() -> None:
    assert set(KNOWN) == set(TOOLS) == set(build_service().tasks)


async def test_a_tool_stores_its_result_in_its_own_place_and_raises_nothing() -> None:
    data = {"findings": {"1.1": {"tool": "calculator"}, "1.2": {"tool": "phone"}}}
    payload = {"place": "1.1", "input": "2400 / 16"}
    done = await run_task(build_service(), "calculator", payload=payload, data=data)
    assert done.data["findings"]["1.1"] == {"tool": "calculator", "result": "150"}
    assert done.data["findings"]["1.2"] == {"tool": "phone"}
    assert done.raised == []


@pytest.mark.parametrize(
    ("tool", "input", "reason", "permanent"),
    [
        ("calculator", "1 / 0", "INPUT_REFUSED", True),
        ("notes", "diary", "INPUT_REFUSED", True),
        ("phone", "nobody", "INPUT_REFUSED", True),
        ("phone", "harbour office", "ConnectionError", False),
    ],
)
async def test_a_wrong_input_is_rejected_and_a_broken_connection_is_retried(
    tool: str, input: str, reason: str, permanent: bool
) -> None:
    payload = {"place": "1.1", "input": input}
    failed = await run_task(build_service(), tool, payload=payload, data={"findings": {"1.1": {}}})
    assert failed.failure
    assert (failed.failure.reason, failed.failure.permanent) == (reason, permanent)
