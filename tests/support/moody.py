"""The misbehaving handler service of the end-to-end tests, and what it saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localservers.processes import ChildProcess
from support.system import ROOT, System

SCRIPT = ROOT / "tests" / "e2e" / "services" / "moody.py"


@dataclass(frozen=True)
class Seen:
    """One line of the witness: a call, or what became of it."""

    task_id: str
    workflow_instance_id: str
    attempt: int
    key: str
    note: str


class Moody:
    """A `moody` service on a system; its calls outlive its processes."""

    def __init__(
        self, system: System, folder: Path, *, service: str = "moody", tasks: Sequence[str] = ()
    ) -> None:
        self._system = system
        self._witness = folder / f"{service}-witness.txt"
        self._environment = {
            "WITNESS": str(self._witness),
            "SERVICE": service,
            "TASKS": " ".join(tasks),
        }

    def start(self, count: int = 1) -> list[ChildProcess]:
        """Starts so many processes of it; returns when the engine knows them."""
        return self._system.start_handlers(SCRIPT, count=count, environment=self._environment)

    def seen(self, workflow_instance_id: str, note: str = "called") -> list[Seen]:
        """What it noted about an instance, in order."""
        if not self._witness.exists():
            return []
        lines = [line.split() for line in self._witness.read_text().splitlines()]
        found = [
            Seen(task, workflow, int(at), key, said) for task, workflow, at, key, said in lines
        ]
        return [
            each
            for each in found
            if each.workflow_instance_id == workflow_instance_id and each.note == note
        ]
