"""Mutants: each still changes what it says it does, its tests are there, and a few are killed here and now.
`make mutants` runs all of them."""

import ast
import contextlib
import functools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mutants.catalogue import MUTANTS
from mutants.mutant import ROOT, Mutant, Rotten
from mutants.running import run_tests

QUICK = ("no_conflict_rule", "taken_off_before_added")


@pytest.fixture(scope="module")
def unknown_names(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """By mutant, what ruff says of names that are not there: asked once for all of them."""
    folder = tmp_path_factory.mktemp("mutants")
    for mutant in MUTANTS:
        with contextlib.suppress(Rotten):  # which its own test says
            (folder / f"{mutant.name}.py").write_text(mutant.mutated(), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--select", "F821"]
    said = subprocess.run(
        [*ruff, "--output-format", "concise", folder], capture_output=True, text=True
    )
    assert said.stderr == ""
    found: dict[str, str] = {}
    for line in said.stdout.splitlines():
        name = Path(line.partition(":")[0]).stem
        found[name] = f"{found.get(name, '')}{line}\n"
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_text_that_exists_and_is_valid_python(
    mutant: Mutant, unknown_names: Mapping[str, str]
) -> None:
    assert mutant.mutated() != mutant.source.read_text(encoding="utf-8")
    assert mutant.rule
    assert bool(mutant.killers) != bool(mutant.survives), "tests, or why there are none"
    assert mutant.name not in unknown_names, "it would be noticed for that, and not for its rule"
    for test in mutant.killers:
        file, _, name = test.partition("::")
        function = name.partition("[")[0]
        assert not function or function in _functions(ROOT / file), test


def test_no_two_mutants_share_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(Rotten, match="0 times"):
        Mutant("x", "none", "domain/draft.py", (("no such text", ""),)).mutated()


def test_some_mutants_are_killed_by_their_tests() -> None:
    chosen = [mutant for mutant in MUTANTS if mutant.name in QUICK]
    tests = [test for mutant in chosen for test in mutant.killers]
    assert run_tests(tests).passed
    for mutant in chosen:
        ran = run_tests(mutant.killers, mutant=mutant)
        assert ran.failed, f"{mutant.name} survives:\n{ran.output}"


@functools.cache
def _functions(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
