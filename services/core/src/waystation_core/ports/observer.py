"""Who learns, within the process, what was committed and which handlers there are: `waystation dev` shows it to
people. Servers have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from waystation_core.ports.store import RegistrySnapshot
from waystation_domain.actions import Start
from waystation_domain.commit import InstanceCommit


class Observer(Protocol):
    """Is called in the event loop, after the commit. It must return at once and raise nothing. A change whose
    answer from the database was lost is left out."""

    def started(self, starts: Sequence[Start]) -> None:
        """These instances are new."""
        ...

    def committed(self, commits: Sequence[InstanceCommit]) -> None:
        """These instances have changed."""
        ...

    def registry_changed(self, snapshot: RegistrySnapshot) -> None:
        """Endpoints or tasks are others than before, or are known for the first time."""
        ...


class Observers:
    """Several as one: each is told everything, in their order."""

    def __init__(self, *observers: Observer | None) -> None:
        self._observers = [observer for observer in observers if observer is not None]

    def started(self, starts: Sequence[Start]) -> None:
        for observer in self._observers:
            observer.started(starts)

    def committed(self, commits: Sequence[InstanceCommit]) -> None:
        for observer in self._observers:
            observer.committed(commits)

    def registry_changed(self, snapshot: RegistrySnapshot) -> None:
        for observer in self._observers:
            observer.registry_changed(snapshot)
