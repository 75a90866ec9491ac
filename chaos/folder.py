"""The folder of one run: everything that the checker needs, as JSON lines, and the logs."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
"""Where the package is imported from by the processes that it starts."""


class RunFolder:
    """Names of the files of a run, and how a line gets into one."""

    def __init__(self, path: Path) -> None:
        self.path = path = path.resolve()
        self.schedule = path / "schedule.json"
        self.settings = path / "settings.json"
        self.control = path / "control.jsonl"
        self.progress = path / "progress.jsonl"
        self.programs = path / "programs.jsonl"
        self.operations = path / "operations.jsonl"
        self.ledger = path / "ledger"
        self.faults = path / "faults.jsonl"
        self.samples = path / "samples.jsonl"
        self.announced = path / "announced.jsonl"
        self.instances = path / "instances.jsonl"
        self.state = path / "state.json"
        self.stalls = path / "stalls"
        self.logs = path / "logs"
        self.verdict = path / "verdict.json"
        self.report = path / "report.md"

    def make(self) -> None:
        """Makes the folder and those in it."""
        for folder in (self.path, self.ledger, self.logs, self.stalls):
            folder.mkdir(parents=True, exist_ok=True)

    def tidy(self) -> None:
        """Leaves the report, the verdict and the schedule only."""
        for kept in (self.logs, self.ledger, self.stalls):
            shutil.rmtree(kept, ignore_errors=True)
        for file in (self.instances, self.operations, self.programs, self.announced, self.progress):
            file.unlink(missing_ok=True)


class Lines:
    """A file of JSON lines that several processes may append to; a line is written at once, whole,
    and has left this process when `write` returns."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **fields: Any) -> None:
        """Appends a line with the time in `at`, unless it is given (seconds since 1970)."""
        line = json.dumps({"at": time.time(), **fields}, separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Ends it."""
        os.close(self._file)


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file; none where it is not there. A last line that was cut is left out."""
    if not file.exists():
        return
    with file.open(encoding="utf-8") as source:
        for line in source:
            if line.endswith("\n"):
                yield json.loads(line)


class Tail:
    """The lines that are added to a file, as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = 0

    def new(self) -> list[dict[str, Any]]:
        """The whole lines since the last call."""
        try:
            with self._file.open("rb") as source:
                source.seek(self._position)
                data = source.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._position += end
        return [json.loads(line) for line in data[:end].splitlines()]


def read_folder(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of all files in a folder, file after file."""
    for file in sorted(folder.glob("*.jsonl")):
        yield from read_lines(file)
