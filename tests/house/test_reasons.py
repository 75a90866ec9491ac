"""The reasons of errors and failures: what the contract documents is what the engine says, and no more."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.comments import Comments, examples_of

from waystation_domain import errors
from waystation_domain.errors import TaskFault, WaystationError

ROOT = Path(__file__).resolve().parents[2]
COMMENTS = Comments()
ERRORS, FAILURES = (examples_of(COMMENTS, enum) for enum in ("ErrorReason", "FailureReason"))
LATER = "Not sent by this release."
FAULT = "Permanent task fault."
CODES = {code.name for code in grpc.StatusCode}


ENGINE = ("domain", "conversion", "core", "api", "router")


def said(enum: str, reason: str) -> str:
    """The comment of a reason, without its example."""
    prefix = {"ErrorReason": "ERROR_REASON_", "FailureReason": "FAILURE_REASON_"}[enum]
    return COMMENTS[prefix + reason].partition(" Example: ")[0]


def classes() -> dict[str, type[WaystationError]]:
    """The errors that name a reason, by it. Of several the one that names it itself."""
    found = {}
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        leaf = issubclass(kind, WaystationError) and not kind.__subclasses__()
        if kind is WaystationError or (leaf and "reason" in vars(kind)):
            found[kind.reason] = kind
    return found


CLASSES = classes()


def sources(*parts: str) -> Iterator[tuple[Path, ast.Module]]:
    for part in parts:
        for file in sorted((ROOT / "services" / part / "src").rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def texts(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_each_error_has_its_code_and_the_other_way_round() -> None:
    assert set(CLASSES) <= set(ERRORS)
    for reason in ERRORS:
        words = said("ErrorReason", reason)
        if words.startswith(FAULT):
            assert issubclass(CLASSES[reason], TaskFault), reason
            continue
        named = re.match(r"[A-Z_]+(?: or [A-Z_]+)*", words)
        assert named is not None, reason
        codes = set(named[0].split(" or "))
        assert codes <= CODES, reason
        if LATER in words:
            assert reason not in CLASSES, reason
        else:
            assert CLASSES[reason].code in codes, reason


def test_no_error_is_documented_and_never_given() -> None:
    used: set[str] = set()
    for file, tree in sources(*ENGINE):
        if file.name != "errors.py" or file.parent.name != "waystation_domain":
            used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for reason, kind in CLASSES.items():
        # The handlers' own word is given by the SDK.
        assert kind.__name__ in used or reason in {"NOT_BEGUN", "INTERNAL"}, reason
    sdk = {text for _, tree in sources("worker_sdk") for text in texts(tree)}
    assert "NOT_BEGUN" in sdk


def test_no_failure_is_documented_and_never_given() -> None:
    given = {
        text
        for file, tree in sources(*ENGINE)
        if file.name != "errors.py" or file.parent.name != "waystation_domain"
        for text in texts(tree)
    }
    assert set(FAILURES) <= given, set(FAILURES) - given


def test_every_reason_that_the_engine_gives_itself_is_in_the_contract() -> None:
    """Of failed attempts, branches and instances: whatever stands in its code as a reason."""
    gives = re.compile(r"\breason=|^_?[A-Z_, ]*(REASON|TIMED_OUT|FAILURE|UNHANDLED) = ")
    names: set[str] = set()
    for part in ENGINE:
        for file in (ROOT / "services" / part).rglob("*.py"):
            for line in file.read_text(encoding="utf-8").splitlines():
                if gives.search(line):
                    names |= set(re.findall(r'"([A-Z][A-Z_]+)"', line))
    assert {"CALL_CUT", "PENDING_TIMED_OUT", "WORKFLOW_DEADLINE_EXCEEDED", "EXPIRED"} <= names
    assert names <= set(ERRORS) | set(FAILURES), names


@pytest.mark.parametrize("reason", ERRORS)
def test_each_error_has_a_meaning_an_example_and_its_metadata(reason: str) -> None:
    example: dict[str, Any] = ERRORS[reason]
    assert example["reason"] == reason
    assert set(example) == {"reason", "metadata"}
    meaning = said("ErrorReason", reason).partition(". ")[2]
    assert len(meaning) > 10
    assert meaning.endswith((".", "number"))
    for key, value in example["metadata"].items():
        assert re.fullmatch(r"[a-z_]+", key)
        # On the wire it is a map of texts.
        assert isinstance(value, str)


@pytest.mark.parametrize("reason", FAILURES)
def test_each_failure_has_a_meaning_and_an_example(reason: str) -> None:
    example = FAILURES[reason]
    assert example["reason"] == reason
    assert re.match(r"Of (an attempt|an instance|a branch): \w", said("FailureReason", reason))
    if "code" in example:
        assert example["code"] in CODES | {"TASK_FAILURE"}


def test_what_metadata_an_error_has_is_promised() -> None:
    assert "The keys in the example of a reason are always present" in COMMENTS["ErrorReason"]
