"""What a run has left behind, read once, in the form in which the rules ask for it."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from chaos.expectation import Expectation, expect
from chaos.folder import RunFolder, read_folder, read_lines

Fields = dict[str, Any]


class Kind(StrEnum):
    """What the figures of a run count."""

    LOST = "lost"
    DOUBLE = "double"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that did not hold."""

    rule: str
    instance: str
    text: str
    kind: Kind | None = None


@dataclass
class Instance:
    """One instance as the public API described it at the end."""

    id: str
    context: Fields
    history: list[Fields]
    """Its entries in order."""
    events: list[Fields]
    dead_letters: list[Fields] = field(default_factory=list)
    explained: Fields | None = None

    @property
    def status(self) -> str:
        """COMPLETED and the like."""
        return str(self.context.get("status", "")).removeprefix("WORKFLOW_STATUS_")

    @property
    def data(self) -> Fields:
        """Its data."""
        data: Fields = self.context.get("data", {})
        return data

    @property
    def tokens(self) -> list[str]:
        """The tokens in its data."""
        tokens: list[str] = self.data.get("tokens", [])
        return tokens

    @property
    def created_at(self) -> float:
        """Seconds since 1970."""
        return seconds(self.context["created_at"])

    @property
    def completed_at(self) -> float | None:
        """Seconds since 1970; None while it is open."""
        at = self.context.get("completed_at")
        return None if at is None else seconds(at)


@dataclass
class Evidence:
    """All of one run."""

    programs: dict[str, Fields]
    instances: dict[str, Instance]
    operations: list[Fields]
    ledger: list[Fields]
    faults: list[Fields]
    state: Fields
    samples: list[Fields] = field(default_factory=list)
    announced: set[str] = field(default_factory=set)

    @cached_property
    def expectations(self) -> dict[str, Expectation]:
        """By instance."""
        return {name: expect(program) for name, program in self.programs.items()}

    @cached_property
    def witnessed(self) -> dict[str, Fields]:
        """Lines of the ledger by token."""
        return {line["token"]: line for line in self.ledger}

    @cached_property
    def operations_of(self) -> dict[str, list[Fields]]:
        """By instance."""
        found: dict[str, list[Fields]] = defaultdict(list)
        for operation in self.operations:
            found[operation["instance"]].append(operation)
        return found

    @property
    def complete(self) -> bool:
        """Whether the run came to its end, so that everything is there to be judged."""
        return bool(self.state.get("probe_after"))

    @property
    def healed_at(self) -> float:
        """When the last fault had been healed; the end of the steady phase where there was none."""
        ends = [line["at"] for line in self.faults if line["event"] in ("healed", "quiet")]
        return max(ends, default=0.0)


def read(folder: RunFolder) -> Evidence:
    """The evidence of a run's folder."""
    instances = {}
    for line in read_lines(folder.instances):
        instances[line["instance"]] = Instance(
            line["instance"],
            line["context"],
            line["history"],
            line["events"],
            line["dead_letters"],
            line.get("explained"),
        )
    return Evidence(
        programs={line["instance"]: line for line in read_lines(folder.programs)},
        instances=instances,
        operations=list(read_lines(folder.operations)),
        ledger=list(read_folder(folder.ledger)),
        faults=list(read_lines(folder.faults)),
        state=json.loads(folder.state.read_text()) if folder.state.exists() else {},
        samples=list(read_lines(folder.samples)),
        announced={event for line in read_lines(folder.announced) for event in line["events"]},
    )


def seconds(text: str) -> float:
    """A timestamp of the API as seconds since 1970."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")


def successes(instance: Instance) -> Iterable[Fields]:
    """Entries of history in which the result of a task took effect."""
    for entry in instance.history:
        if entry["result"] == "HISTORY_RESULT_SUCCESS" and entry.get("attempt", 0) > 0:
            yield entry
