"""Runs tests with and without a mutant."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutants.mutant import PACKAGES, ROOT, Mutant

SECONDS = 600
"""For the tests of one mutant: a hang is noticed too."""
SECONDS_OF_ALL = 3_600

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


@dataclass(frozen=True, slots=True)
class Ran:
    """How tests went."""

    passed: bool
    failed: bool
    """Tests failed, or did not end; neither this nor passed: they could not be run."""
    failures: tuple[str, ...]
    """The tests that failed; with a mutant only the first."""
    seconds: float
    output: str


def run_tests(tests: Sequence[str], *, mutant: Mutant | None = None) -> Ran:
    """Runs these tests, with the mutant in the place of the real package where one is given; then only
    to the first that fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        environment = dict(os.environ)
        if mutant is not None:
            place = str(mutant.write_to(Path(folder)))
            environment["PYTHONPATH"] = place
            _require_its_own(mutant, environment, place)
        return _pytest([*tests, *(("-x",) if mutant is not None else ())], environment)


def _require_its_own(mutant: Mutant, environment: dict[str, str], place: str) -> None:
    """Makes sure that the copy is what is imported; else every mutant would survive."""
    package = PACKAGES[mutant.file.partition("/")[0]]
    found = subprocess.run(
        [sys.executable, "-c", f"import {package}; print({package}.__file__)"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(place), f"{found.stdout.strip()} is not below {place}"


def _pytest(arguments: Sequence[str], environment: dict[str, str]) -> Ran:
    arguments = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", *arguments]
    began = time.monotonic()
    # A group of its own: where the tests hang, what they started ends with them.
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = running.communicate(timeout=SECONDS if "-x" in arguments else SECONDS_OF_ALL)
        hung = False
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=60)
        hung = True
    return Ran(
        passed=running.returncode == 0 and not hung,
        failed=running.returncode == 1 or hung,
        failures=tuple(_FAILED.findall(output)) or (("no end",) if hung else ()),
        seconds=time.monotonic() - began,
        output=output,
    )
