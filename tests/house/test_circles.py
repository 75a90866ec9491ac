"""No module needs itself by way of others: not for its types only, and not inside a function either."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    *ROOT.glob("services/*/src"),
    *ROOT.glob("examples/*/src"),
    ROOT / "tools/localservers/src",
]


def modules() -> dict[str, Path]:
    """Every module by its name."""
    found = {}
    for source in SOURCES:
        for file in source.rglob("*.py"):
            parts = file.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(tree: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    """The known modules that a program imports anywhere. What a package brings out stands for the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module


def circle(needs: Mapping[str, set[str]]) -> list[str]:
    """One circle, as a path; empty where there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as found:
        return list(found.args[1])
    return []


def test_no_module_imports_itself_through_others() -> None:
    known = modules()
    assert len(known) > 250
    needs = {
        name: set(imported(ast.parse(file.read_text(encoding="utf-8")), known)) - {name}
        for name, file in known.items()
    }
    assert circle(needs) == []


@pytest.mark.parametrize(
    ("program", "needs"),
    [
        ("from a import b", {"a.b"}),
        ("from a import Thing", {"a"}),
        ("import a.b", {"a.b"}),
        ("if TYPE_CHECKING:\n    from a.b import Thing", {"a.b"}),
        ("def f():\n    from a.b import Thing", {"a.b"}),
        ("from json import loads", set()),
    ],
)
def test_what_counts_as_an_import(program: str, needs: set[str]) -> None:
    assert set(imported(ast.parse(program), {"a": 1, "a.b": 1})) == needs


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
