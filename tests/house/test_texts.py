"""No sentence is data: nothing is decided by what a text for people says. What decides has a type of its own,
and the text is written from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ("services", "chaos", "bench", "scale", "examples", "tools")

TEXTS = {"message", "messages", "note", "notes", "summary", "remedy", "hint", "skip_message", "why"}
"""What texts for people are called, as variables and as attributes."""
TEXT_METHODS = {"details", "debug_error_string"}
"""Of a gRPC error: what they answer is such a text."""
READS = {
    "startswith",
    "endswith",
    "partition",
    "rpartition",
    "split",
    "rsplit",
    "find",
    "rfind",
    "index",
    "count",
    "removeprefix",
    "removesuffix",
}
MATCHES = {"search", "match", "fullmatch", "findall", "finditer"}

ALLOWED = {
    # Hints for people beside the text of a library, which gives nothing else: what they add changes nothing.
    "services/core/src/waystation_core/rpc/attempts.py: _LOST_CAUSE in message",
    # Not to say the same twice.
    "services/cli/src/waystation_cli/failures.py: hint in message",
}


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in TEXTS
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
            return name in ("error", "fault", "failure", "refused", "exception", "problem")
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in TEXT_METHODS
        case ast.BoolOp(values=values):
            return any(map(_is_text, values))
    return False


def _is_words(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)
    )


def decisions(tree: ast.AST) -> Iterator[str]:
    """What in this program looks into a text."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
                found = _is_text(right)
                # `text in ("this", "that")` is a comparison, too.
                found |= _is_text(left) and isinstance(right, (ast.Tuple, ast.Set, ast.List))
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                found = (_is_text(left) and _is_words(right)) or (
                    _is_text(right) and _is_words(left)
                )
            case ast.Call(func=ast.Attribute(value=value, attr=method), args=arguments):
                found = (method in READS and _is_text(value)) or (
                    method in MATCHES and any(map(_is_text, arguments))
                )
            case ast.Match(subject=subject):
                found = _is_text(subject)
            case _:
                continue
        if found:
            yield ast.unparse(node)


@pytest.mark.parametrize(
    ("program", "decides"),
    [
        ("idle.message.endswith('no task handles it')", True),
        ("entry.note.partition(' with an edited payload')", True),
        ("'full' in str(error)", True),
        ("'full' in (error.details() or '')", True),
        ("re.search('[0-9]+', message)", True),
        ("note == 'it expired'", True),
        ("note in ('it expired', 'it ended')", True),
        ("idle.ending is Ending.UNHANDLED", False),
        ("entry.note or 'given up'", False),
        ("message + '.'", False),
        ("[one for one in message.tasks]", False),
        ("note != other.note", False),
    ],
)
def test_what_counts_as_looking_into_a_text(program: str, decides: bool) -> None:
    assert bool(list(decisions(ast.parse(program)))) is decides


def test_nothing_is_decided_by_a_text() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {decision}"
        for program in PROGRAMS
        for file in (ROOT / program).rglob("*.py")
        if not {".venv", "node_modules", "tests"} & set(file.relative_to(ROOT).parts)
        for decision in decisions(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED
