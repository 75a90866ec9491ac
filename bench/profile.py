"""`--profile`: microseconds of CPU for each workflow, by process and stage.

The time of processes is from /proc, and exact. Stages are shares of the main thread's samples (`bench.sampler`).
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.sampler import sampled
from bench.system import Embedded, System, load_client, run_load

OTHER_THREADS = "other threads (gRPC's)"
_FILE_WITHIN = 10.0


class Profile:
    """Of the windows of one case."""

    def __init__(self) -> None:
        self._ended = 0
        self._processes: Counter[str] = Counter()
        self._stages: Counter[tuple[str, str]] = Counter()

    def window(self, system: System | Embedded, request: dict[str, Any]) -> dict[str, Any]:
        """Measures a window of this system, counts it in, and returns what the load client found."""
        system.tell_connections_apart()
        client = f"client-{time.monotonic_ns()}"
        done = {name: _newest(system.folder, name) for name in system.sampled}
        found = run_load(
            {**request, "groups": system.groups, "sampled": [*system.sampled.values()]},
            sampled(load_client(), system.folder, client),
            system.client_environment,
        )
        self._ended += found["ended"]
        self._processes.update(found["cpu"])
        for name in (*system.sampled, client):
            first = done.get(name, 0) + 1
            before, after = (_read(system.folder / f"{name}-{first + n}.json") for n in (0, 1))
            self._add(name.partition("-")[0], before, after)
        found["cpu"] = _by_line(found["cpu"])
        return found

    def lines(self) -> Iterator[tuple[str, str, float]]:
        """Process, stage (empty: all of the process), microseconds for each workflow; the largest stage first."""
        parts = Counter(self._stages)
        for name, seconds in self._processes.items():
            process, slash, part = name.partition("/")
            if slash:
                parts[process, part] += seconds
        for process, seconds in _by_line(self._processes).items():
            yield process, "", seconds * 1e6 / self._ended
            for (name, stage), spent in parts.most_common():
                if name == process and spent > 0:
                    yield process, stage, spent * 1e6 / self._ended

    def show(self, title: str) -> None:
        """Prints the table."""
        lines = [*self.lines()]
        table = Table(title=f"{title}: CPU, µs for each of {self._ended:,} workflows")
        for name in ("process", "stage"):
            table.add_column(name)
        for name in ("µs", "share"):
            table.add_column(name, justify="right")
        total = sum(spent for _, stage, spent in lines if not stage)
        for process, stage, spent in lines:
            style = None if stage else "bold"
            table.add_row(
                "" if stage else process,
                stage,
                f"{spent:,.0f}",
                f"{spent / total:.0%}",
                style=style,
            )
        table.add_row("all", "", f"{total:,.0f}", "", style="bold")
        Console(width=None if Console().is_terminal else 120).print(table)

    def _add(self, group: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        threads = {
            name: after["threads"][name] - before["threads"][name] for name in ("main", "other")
        }
        stages = Counter(after["stages"])
        stages.subtract(before["stages"])
        samples = sum(stages.values())
        for stage, count in stages.items():
            self._stages[group, stage] += threads["main"] * count / samples if samples else 0
        self._stages[group, OTHER_THREADS] += threads["other"]


def _by_line(cpu: dict[str, float] | Counter[str]) -> dict[str, float]:
    """What stands before the `/` together."""
    lines: dict[str, float] = {}
    for name, seconds in cpu.items():
        line = name.partition("/")[0]
        lines[line] = lines.get(line, 0.0) + seconds
    return lines


def _newest(folder: Path, name: str) -> int:
    """The number of the sampler's newest file."""
    return len([*folder.glob(f"{name}-*.json")])


def _read(path: Path) -> dict[str, Any]:
    """What a sampler was told to write, as soon as it has."""
    until = time.monotonic() + _FILE_WITHIN
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"the sampler did not write {path.name}")
        time.sleep(0.01)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
