"""Which fault comes when: from a seed, as a file that can be read, kept and carried out again."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chaos.faults.catalogue import CATALOGUE, replies_lost
from chaos.faults.world import Kind

STREAMS = 2
_TRIES = 100
_LATER_SECONDS = 5.0
SHORT_RUN_SECONDS = 240.0
"""Seconds. A run of less is a short one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault: `at` seconds after the faults begin, for about `seconds`, of one stream."""

    number: int
    stream: int
    at: float
    seconds: float
    kind: str
    params: dict[str, Any]


def plan(
    seed: int,
    seconds: float,
    kinds: Sequence[str] | None = None,
    *,
    lost_replies: float | None = None,
) -> list[Entry]:
    """The faults of so many seconds, in the order of their time.

    Each stream pauses 5 to 40 s between two faults; both overlap, but never hit the same process or link. In a
    run of under 4 minutes pauses and faults are shorter. `kinds` limits them. With `lost_replies`
    a third stream loses such a share of Postgres' replies most of the time.
    """
    planner = _Planner(seed, seconds, [CATALOGUE[name] for name in kinds or CATALOGUE])
    if lost_replies is not None:
        planner.lose_replies(lost_replies)
    for stream in range(STREAMS):
        planner.fill(stream)
    ordered = sorted(planner.entries, key=lambda entry: entry.at)
    return [replace(entry, number=number) for number, entry in enumerate(ordered, start=1)]


class _Planner:
    """A schedule in the making."""

    def __init__(self, seed: int, seconds: float, kinds: Sequence[Kind]) -> None:
        self.entries: list[Entry] = []
        self._pick = random.Random(f"schedule {seed}")
        self._seconds = seconds
        self._scale = min(1.0, max(0.3, seconds / SHORT_RUN_SECONDS))
        self._kinds = kinds
        # All streams draw from one list, in which the frequent kinds stand several times: so a long
        # run meets every kind, and a short one not always the same.
        self._bag: list[Kind] = []

    def fill(self, stream: int) -> None:
        """One stream of faults, from begin to end, beside what is planned already."""
        at = self._pick.uniform(0, 5)
        while at < self._seconds:
            entry = self._next(stream, at)
            if entry is None:
                at += _LATER_SECONDS
            elif at + entry.seconds > self._seconds:
                return
            else:
                self.entries.append(entry)
                at = _end(entry) + self._pick.uniform(5, 40) * self._scale

    def lose_replies(self, chance: float) -> None:
        """A stream of nothing but lost replies, with short pauses."""
        at = self._pick.uniform(0, 3)
        while at + 5 < self._seconds:
            length = self._pick.uniform(4, 8)
            params = replies_lost(chance)
            self.entries.append(_entry(STREAMS, at, length, "lost-replies", params))
            at += length + self._pick.uniform(2, 5)

    def _next(self, stream: int, at: float) -> Entry | None:
        """A fault that may begin now; None if each would overlap another one at the same place."""
        for _ in range(_TRIES):
            if not self._bag:
                self._bag = [kind for kind in self._kinds for _ in range(kind.weight)]
                self._pick.shuffle(self._bag)
            kind = self._bag[-1]
            least = kind.least if kind.least <= 10 else max(8.0, kind.least * self._scale)
            length = self._pick.uniform(least, max(least, kind.most * self._scale))
            entry = _entry(stream, at, length, kind.name, kind.plan(self._pick))
            if not any(_collide(entry, other) for other in self.entries):
                self._bag.pop()
                return entry
            self._pick.shuffle(self._bag)
        return None


def _entry(stream: int, at: float, length: float, kind: str, params: dict[str, Any]) -> Entry:
    return Entry(0, stream, round(at, 2), round(length, 2), kind, params)


def write(entries: Sequence[Entry], file: Path) -> None:
    """Into a file, one fault per line."""
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in entries)
    file.write_text(f"[\n{lines}\n]\n")


def read(file: Path) -> list[Entry]:
    """From a file."""
    return [Entry(**fields) for fields in json.loads(file.read_text())]


def _collide(one: Entry, other: Entry) -> bool:
    if one.stream == other.stream or one.at >= _end(other) or other.at >= _end(one):
        return False
    touched = [CATALOGUE[each.kind].touches(each.params) for each in (one, other)]
    return bool(touched[0] & touched[1])


def _end(entry: Entry) -> float:
    return entry.at + entry.seconds + _takes(entry)


def _takes(entry: Entry) -> float:
    """Seconds that the fault takes beside what it holds: a guess, and the runner asks again."""
    if entry.kind in ("rolling-restart", "kill-everything"):
        return 40.0
    return 15.0 if entry.kind.startswith("rabbitmq") else 5.0
