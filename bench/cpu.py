"""CPU time of process groups, from /proc."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """User and system seconds so far of each group: its processes with all their descendants, ended ones
    included as far as their parents have reaped them."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # It ended meanwhile.
        pid = int(stat.parent.name)
        fields = text.rpartition(")")[2].split()
        parents[pid] = int(fields[1])
        spent[pid] = sum(int(ticks) for ticks in fields[11:15]) / _TICK
    totals = dict.fromkeys(roots, 0.0)
    group_of = {pid: group for group, pids in roots.items() for pid in pids}
    for pid, seconds in spent.items():
        ancestor = pid
        while ancestor in parents and ancestor not in group_of:
            ancestor = parents[ancestor]
        if ancestor in group_of:
            totals[group_of[ancestor]] += seconds
    return totals


def child(pid: int, name: str) -> int:
    """The nearest descendant of this name. Raises LookupError."""
    nearest = [pid]
    while nearest:
        below = [
            int(found)
            for parent in nearest
            for found in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        ]
        for found in below:
            if Path(f"/proc/{found}/comm").read_text().strip() == name:
                return found
        nearest = below
    raise LookupError(f"process {pid} has no descendant {name}")
