"""No statement of the store writes the number of a status, state, kind or result itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import waystation_core.store

STORE = Path(waystation_core.store.__file__).parent
COLUMNS = ("status", "state", "kind", "result", "on_failure")

_COLUMN = rf"\b(?:{'|'.join(COLUMNS)})\b(?:::\w+)?"
_COMPARES = r"(?:=|<>|!=|<=?|>=?|(?:NOT\s+)?IN|BETWEEN|IS\s+(?:NOT\s+)?DISTINCT\s+FROM)"
IN_TEXT = re.compile(
    rf"{_COLUMN}\s*{_COMPARES}\s*[('\s]*-?\d|\b\d+\s*{_COMPARES}\s*(?:\w+\.)?{_COLUMN}",
    re.IGNORECASE,
)


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All strings, what an f-string puts in as `{}`."""
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(value) for value in node.values}
            yield (
                node.lineno,
                "".join(
                    str(value.value) if isinstance(value, ast.Constant) else "{}"
                    for value in node.values
                ),
            )
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
        ):
            yield node.lineno, node.value


def bare_numbers(source: str) -> list[int]:
    """The lines of what compares such a column with a number, in a text or in an expression."""
    tree = ast.parse(source)
    found = [line for line, text in texts(tree) if IN_TEXT.search(text)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(one, ast.Attribute) and one.attr in COLUMNS for one in sides) and any(
                isinstance(one, ast.Constant) and isinstance(one.value, int) for one in sides
            ):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", sorted(STORE.glob("*.py")), ids=lambda path: path.name)
def test_numbers_come_from_the_enums(path: Path) -> None:
    assert bare_numbers(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        'Q = "SELECT 1 FROM deliveries WHERE state = 2"',
        'Q = f"SELECT {columns} FROM deliveries d WHERE d.state IN (5, 6)"',
        'Q = f"UPDATE deliveries SET state = 1, due_at = {time}"',
        'Q = "... AND i.status > 2 AND i.timers = 0"',
        'Q = "... AND 4 = h.result"',
        'Q = "h.kind NOT IN (\\n  2)"',
        "q = select(letters).where(letters.c.state == 1)",
    ],
)
def test_a_number_is_seen(source: str) -> None:
    assert bare_numbers(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        'Q = f"SELECT 1 FROM deliveries WHERE state = {states.LEASED} AND attempts > 0"',
        'Q = "SELECT 1 FROM deliveries WHERE state = %(state)s LIMIT 1"',
        "q = select(letters).where(letters.c.state == states.OPEN_LETTER)",
    ],
)
def test_a_name_is_none(source: str) -> None:
    assert bare_numbers(source) == []
