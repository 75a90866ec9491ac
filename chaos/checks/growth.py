"""L4: what grows while a system works: memory, descriptors, connections, as slopes over time."""

from collections.abc import Iterator
from typing import Any

from chaos.checks.evidence import Evidence, Fields, Violation

WARM_UP_SECONDS = 300.0
MEMORY_MIB_PER_MINUTE = 1.0
DESCRIPTORS_PER_MINUTE = 1.0
_LEAST_SECONDS = 60.0


def growth(samples: list[Fields], warm_up: float = WARM_UP_SECONDS) -> dict[str, Any]:
    """For each process the slopes after the warm-up: MiB and descriptors per minute, and the last
    values; of the connections the first and the last. Processes that were replaced are left out.

    A run too short for the warm-up gives its second half.
    """
    if not samples:
        return {}
    began, ended = samples[0]["at"], samples[-1]["at"]
    if ended - began < warm_up + _LEAST_SECONDS:
        warm_up = (ended - began) / 2
    warm = [sample for sample in samples if sample["at"] - began >= warm_up]
    processes = {}
    for name in warm[-1]["processes"]:
        seen = [sample for sample in warm if name in sample["processes"]]
        if len({sample["processes"][name]["pid"] for sample in seen}) > 1 or len(seen) < 2:
            continue
        minutes = [(sample["at"] - began) / 60 for sample in seen]
        memory = [sample["processes"][name]["rss_kib"] / 1024 for sample in seen]
        files = [float(sample["processes"][name]["descriptors"]) for sample in seen]
        processes[name] = {
            "mib_per_minute": round(slope(minutes, memory), 3),
            "mib": round(memory[-1], 1),
            "descriptors_per_minute": round(slope(minutes, files), 3),
            "descriptors": int(files[-1]),
        }
    connections = {
        name: [warm[0].get(name), warm[-1].get(name)]
        for name in ("postgres_connections", "amqp_connections")
    }
    return {"minutes": round((ended - began) / 60, 1), "processes": processes, **connections}


def nothing_grows(evidence: Evidence) -> Iterator[Violation]:
    """For runs without faults that outlast the warm-up: memory and descriptors of every process
    are flat."""
    grown = growth(evidence.samples)
    if grown.get("minutes", 0) * 60 < WARM_UP_SECONDS + _LEAST_SECONDS:
        return
    for name, of_process in grown["processes"].items():
        if name in ("postgres", "rabbitmq"):
            continue
        memory, opened = of_process["mib_per_minute"], of_process["descriptors_per_minute"]
        if memory >= MEMORY_MIB_PER_MINUTE:
            yield Violation("L4", "", f"{name} grows by {memory} MiB per minute")
        if opened >= DESCRIPTORS_PER_MINUTE:
            yield Violation("L4", "", f"{name} opens {opened} descriptors more per minute")


def slope(xs: list[float], ys: list[float]) -> float:
    """Of the straight line that fits best; 0 where there is none."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    if not spread:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
