"""Which fault comes when: from a seed, as a file that can be read, kept and carried out again."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.faults.catalogue import CATALOGUE, replies_lost

STREAMS = 2
_TRIES = 200
_SHORT_RUN_SECONDS = 240.0


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

    Each stream pauses 5 to 40 s between two faults; both overlap, but never touch the same. In a
    run of under 4 minutes pauses and faults are shorter. `kinds` limits them. With `lost_replies`
    a third stream loses such a share of Postgres' replies most of the time.
    """
    pick = random.Random(f"schedule {seed}")
    chosen = [CATALOGUE[name] for name in kinds or CATALOGUE]
    scale = min(1.0, max(0.3, seconds / _SHORT_RUN_SECONDS))
    entries: list[Entry] = []
    if lost_replies is not None:
        entries += _losing_replies(pick, seconds, lost_replies)
    for stream in range(STREAMS):
        at = pick.uniform(0, 5)
        bag: list[str] = []
        while True:
            entry = None
            for _ in range(_TRIES):
                # Each stream goes through all kinds, the frequent ones several times, so that a
                # long run meets every kind and a short one not always the same.
                if not bag:
                    bag = [kind.name for kind in chosen for _ in range(round(kind.weight) or 1)]
                    pick.shuffle(bag)
                kind = CATALOGUE[bag[-1]]
                params = kind.plan(pick)
                least = kind.least if kind.least <= 10 else max(8.0, kind.least * scale)
                length = pick.uniform(least, max(least, kind.most * scale))
                candidate = Entry(0, stream, round(at, 2), round(length, 2), kind.name, params)
                if not any(_collide(candidate, other) for other in entries):
                    entry = candidate
                    bag.pop()
                    break
                pick.shuffle(bag)
            if entry is None:
                at += 5.0
            elif entry.at + entry.seconds > seconds:
                break
            else:
                entries.append(entry)
                at += entry.seconds + _takes(entry) + pick.uniform(5, 40) * scale
            if at > seconds:
                break
    ordered = sorted(entries, key=lambda entry: entry.at)
    return [Entry(**{**asdict(each), "number": at}) for at, each in enumerate(ordered, start=1)]


def _losing_replies(pick: random.Random, seconds: float, chance: float) -> list[Entry]:
    entries = []
    at = pick.uniform(0, 3)
    while at + 5 < seconds:
        length = pick.uniform(4, 8)
        entries.append(
            Entry(0, STREAMS, round(at, 2), round(length, 2), "lost-replies", replies_lost(chance))
        )
        at += length + pick.uniform(2, 5)
    return entries


def write(entries: Sequence[Entry], file: Path) -> None:
    """Into a file, one fault per line."""
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in entries)
    file.write_text(f"[\n{lines}\n]\n")


def read(file: Path) -> list[Entry]:
    """From a file."""
    return [Entry(**fields) for fields in json.loads(file.read_text())]


def _collide(one: Entry, other: Entry) -> bool:
    if one.stream == other.stream:
        return False
    overlap = one.at < _end(other) and other.at < _end(one)
    touched = [CATALOGUE[each.kind].touches(each.params) for each in (one, other)]
    return overlap and bool(touched[0] & touched[1])


def _end(entry: Entry) -> float:
    return entry.at + entry.seconds + _takes(entry)


def _takes(entry: Entry) -> float:
    """Seconds that the fault takes beside what it holds: a guess, and the runner asks again."""
    if entry.kind in ("rolling-restart", "kill-everything"):
        return 40.0
    return 15.0 if entry.kind.startswith("rabbitmq") else 5.0
