"""Programs: what one workflow instance does, as data, made from a seed and carried out by handlers.

A program is a sequence of blocks, each a JSON object with `do`, `id` and what the kind needs. An
event carries the blocks that are still to come; the task that handles it carries out the first one
and raises an event for the rest. `chaos.expectation` says what must have happened in the end.
"""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

Block = dict[str, Any]
WORKFLOW_TYPE = "chaos"
MOST_EVENTS = 500
"""The limit of one instance, which a runaway reaches and no other program comes near to."""
KINDS = (
    "chain",
    "groups",
    "join",
    "people",
    "time",
    "outside",
    "failing",
    "poison",
    "late",
    "race",
)
"""What the programs of a run are about, in the order in which they take turns."""


@dataclass(frozen=True, slots=True)
class Program:
    """One instance: its blocks, and what its client does besides starting it."""

    instance: str
    kind: str
    blocks: list[Block]
    priority: int = 100
    deadline: float | None = None
    """Seconds from its start."""
    notes: list[float] = field(default_factory=list)
    """When its client publishes an event in it, in seconds from the start."""
    cancel_after: float | None = None
    fork: bool = False
    """Whether its client makes a fork of it once it has ended."""
    replay: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def event_type(blocks: list[Block]) -> str:
    """The type of the event that asks for the first of these blocks."""
    first = blocks[0]
    return f"late.{int(first['number'])}" if first["do"] == "late" else f"step.{first['do']}"


class Programs:
    """An endless, seeded supply of programs for one run."""

    def __init__(self, seed: int, *, late: int = 0) -> None:
        """`late` is how many services register while the run goes on."""
        self._pick = random.Random(f"programs {seed}")
        self._run = f"s{seed}"
        self._late_services = late
        self._number = 0
        self._blocks = 0

    def __iter__(self) -> Iterator[Program]:
        while True:
            yield self.next()

    def next(self, kind: str | None = None) -> Program:
        """The next program; of this kind, where one is named."""
        self._number += 1
        self._blocks = 0
        kinds = KINDS if self._late_services else tuple(each for each in KINDS if each != "late")
        kind = kind or kinds[self._number % len(kinds)]
        pick = self._pick
        options: dict[str, Any] = {
            "priority": pick.choice((0, 60, 100, 100, 100, 180, 255)),
            "notes": sorted(pick.uniform(0, 3) for _ in range(pick.choice((0, 0, 0, 1, 2)))),
            "fork": pick.random() < 0.1,
            "replay": pick.random() < 0.1,
        }
        blocks = getattr(self, f"_{kind}")(options)
        blocks.append(self._block("end"))
        instance = f"{self._run}-{kind}-{self._number:06d}"
        return Program(instance, kind, blocks, **options)

    def _block(self, do: str, **more: Any) -> Block:
        self._blocks += 1
        return {"do": do, "id": f"{do}{self._blocks}", **more}

    def _work(self, least: int, most: int) -> list[Block]:
        return [self._block("work") for _ in range(self._pick.randint(least, most))]

    def _chain(self, options: dict[str, Any]) -> list[Block]:
        return self._work(3, 12)

    def _groups(self, options: dict[str, Any]) -> list[Block]:
        width = self._pick.choice((3, 3, 4, 6, 10, 20, 50))
        return [
            *self._work(0, 1),
            self._fan(width, depth=2 if width <= 10 else 1),
            *self._work(1, 2),
        ]

    def _fan(self, width: int, depth: int) -> Block:
        pick = self._pick
        fan = self._block("fan", branches=[])
        for _ in range(width):
            branch = self._work(1, 2)
            if depth > 1 and pick.random() < 0.2:
                branch += [self._fan(3, depth - 1), *self._work(1, 1)]
            if pick.random() < 0.1:
                branch.insert(0, self._block("flaky", fails=pick.randint(1, 2)))
            fan["branches"].append(branch)
        return fan

    def _join(self, options: dict[str, Any]) -> list[Block]:
        return [
            *self._work(0, 1),
            self._block("split", width=self._pick.choice((3, 3, 5, 8, 20))),
            *self._work(1, 2),
            self._block("split", width=3),
        ]

    def _people(self, options: dict[str, Any]) -> list[Block]:
        asks = [self._block("ask", answered=True), *self._work(1, 2)]
        if self._pick.random() < 0.5:
            asks += [self._block("ask", answered=False, seconds=self._pick.uniform(0.5, 3))]
        if self._pick.random() < 0.4:
            fan = self._block("fan", branches=[])
            fan["branches"] = [[self._block("ask", answered=True)], self._work(1, 1)]
            asks += [fan]
        return [*asks, *self._work(1, 1)]

    def _time(self, options: dict[str, Any]) -> list[Block]:
        pick = self._pick
        if pick.random() < 0.25:
            options["deadline"] = pick.uniform(2, 6)
            return [*self._work(1, 2), self._block("nap", seconds=900.0)]
        options["deadline"] = 3600.0
        return [
            self._block("nap", seconds=pick.uniform(0.2, 5)),
            self._block("spark", seconds=pick.uniform(0.5, 2)),
            *self._work(1, 2),
            self._block("nap", seconds=pick.uniform(0.2, 8)),
        ]

    def _outside(self, options: dict[str, Any]) -> list[Block]:
        return [
            *self._work(0, 1),
            self._block("pend", seconds=self._pick.uniform(0.1, 4)),
            *self._work(1, 2),
            self._block("pend", seconds=self._pick.uniform(0.1, 1)),
        ]

    def _failing(self, options: dict[str, Any]) -> list[Block]:
        pick = self._pick
        blocks = [self._block("flaky", fails=pick.randint(1, 3)), *self._work(1, 1)]
        if pick.random() < 0.3:
            blocks.append(self._block("hang"))
        blocks.append(self._block("flaky", fails=1, after=pick.uniform(0.1, 2)))
        return blocks

    def _poison(self, options: dict[str, Any]) -> list[Block]:
        pick = self._pick
        form = pick.choice(("retry", "discard", "continue", "continue"))
        if form == "continue":
            fan = self._block("fan", branches=[])
            fan["branches"] = [[self._block("give_up")], self._work(1, 2), self._work(1, 2)]
            return [fan, *self._work(1, 1)]
        options["fork"] = False
        return [*self._work(1, 1), self._block("poison", operator=form), *self._work(1, 2)]

    def _late(self, options: dict[str, Any]) -> list[Block]:
        """An event that nobody handles before a service of the run registers for it."""
        number = self._pick.randrange(self._late_services)
        return [*self._work(1, 1), self._block("late", number=number), *self._work(1, 2)]

    def _race(self, options: dict[str, Any]) -> list[Block]:
        """Two things that race: a cancel with the end, branches with the number that their group needs."""
        pick = self._pick
        if pick.random() < 0.6:
            options["cancel_after"] = pick.uniform(0, 2)
            return [*self._work(1, 3), self._fan(4, 1), self._block("nap", seconds=1.0)]
        fan = self._fan(5, 1)
        fan["need"] = pick.randint(1, 4)
        return [fan, *self._work(1, 2)]

    def killer(self) -> Program:
        """One whose task kills the process that it runs in, until it is a dead letter."""
        self._number += 1
        self._blocks = 0
        fan = self._block("fan", branches=[])
        fan["branches"] = [[self._block("kill")], self._work(1, 1)]
        blocks = [fan, *self._work(1, 1), self._block("end")]
        return Program(f"{self._run}-killer-{self._number:06d}", "killer", blocks)

    def runaway(self) -> Program:
        """One that raises an event for each event, until it reaches the limit of an instance."""
        self._number += 1
        self._blocks = 0
        blocks = [self._block("run_on")]
        return Program(f"{self._run}-runaway-{self._number:06d}", "runaway", blocks)
