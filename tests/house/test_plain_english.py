"""Texts that users read have none of the expressions that readers had to translate first.

Each expression is one that was in these texts, with the plain one beside it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PLAIN = {
    r"is none that": "is not known",
    r"\bturn them round\b": "exchange them",
    r"\bsays not what\b": "has no kind",
    r"\bthe oftener\b": "the more often",
    r"\bthough it be\b": "although it is",
    r"\bis meant by the pattern\b": "matches the pattern",
    r"\bOf the condition\b": "the condition",
    r"\bfor good\b(?! at)": "permanently",
    r"\bby itself\b": "automatically",
    r"\b(stands|stand) (idle|still|in the dead letters)\b": "is idle, is a dead letter",
    r"\banew\b": "again",
    r"\bwhoever\b": "the person or process that",
    r"\bthe (house|rooms?)\b": "the repository, the package",
    r"\barrows\b": "imports",
    r"\bspends? (an|no) attempt\b": "counts as an attempt",
    r"\bgives? up the delivery\b": "discards the delivery",
    r"\b(is|are|was|were|gets?|be) told\b": "reported, sent",
    r"\bcame of it\b": "the result",
    r"\ball the same\b": "still, anyway",
    r"\bin vain\b": "without effect",
    r"\bwant of\b": "because there is no",
    r"\d[eE][+]\d\d s\b": "a duration in days, hours or seconds",
}

PAGES = [
    path
    for path in subprocess.run(
        ["git", "ls-files", "--", "*.md", "proto/*.proto", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    # For those who change the engine, not for those who use it.
    if not path.startswith(("tests/", "mutants/"))
]
PACKAGES = ("domain", "conversion", "core", "api", "router", "cli", "worker_sdk")


def prose(path: str) -> str:
    """The page without its code; of a contract's file and of the Makefile, the comments."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.S | re.M)
    mark = "//" if path.endswith(".proto") else "## "
    return "\n".join(line.partition(mark)[2] for line in text.splitlines() if mark in line)


def strings(package: str) -> Iterator[tuple[str, str]]:
    """The package's string constants with their places. With docstrings for the SDK and the command
    line: editors and --help show them."""
    for file in sorted((ROOT / "services" / package / "src").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        public = package in ("cli", "worker_sdk")
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and (public or id(node) not in documentation)
            ):
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value


def found(text: str) -> list[str]:
    text = " ".join(text.split())
    return [
        f"{match[0]!r}: write {plain}"
        for expression, plain in PLAIN.items()
        for match in re.finditer(expression, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_plain(path: str) -> None:
    assert found(prose(path)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_texts_of_the_programs_are_plain(package: str) -> None:
    assert {place: words for place, text in strings(package) if (words := found(text))} == {}


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("kind 7 is none that this release knows.", False),
        ("The delivery stands in\n  the dead letters.", False),
        ("timeout is 3.16224e+07 s", False),
        ("kind 7 is not known to this release. Use LEASED or STATIC.", True),
        ("It waits in a state for goods.", True),
    ],
)
def test_what_is_plain(text: str, is_plain: bool) -> None:
    assert (not found(text)) is is_plain
