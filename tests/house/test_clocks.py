"""Whose clock decides: leases, due times and timers go by the database's, which all processes share."""

import ast
from pathlib import Path

import pytest

from waystation_core import store

STORE = Path(store.__file__).parent
CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic"}
FALLBACK = {"writing.py"}
"""Where nothing was written, and so nothing came back: the answer says when, and nothing rests on it."""


@pytest.mark.parametrize("file", sorted(STORE.glob("*.py")), ids=lambda file: file.name)
def test_the_store_asks_no_clock_of_its_own(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    asked = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("datetime", "date", "time")
    ]
    assert not asked or file.name in FALLBACK
