"""Folds history back into instances: the inverse of `commit.effects` and of each entry's operations. Changes
were computed by this code and stored as they are, so folding gives the same data bit for bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from waystation_domain.model import Failure, Instance, JsonObject, Status, Wait
from waystation_domain.operations import apply, from_json
from waystation_domain.stored import StoredEntry


class Fold:
    """Folds the entries of an instance, from the first one on, without gaps."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._version = 0
        self._data: JsonObject = {}
        self._output: JsonObject | None = None
        self._status = Status.ACTIVE
        self._waits: tuple[Wait, ...] = ()
        self._failure: Failure | None = None
        self._updated_at: datetime | None = None
        self._completed_at: datetime | None = None
        self._event_count = 0

    def add(self, stored: StoredEntry) -> None:
        """Adds the next entry."""
        entry = stored.entry
        assert entry.sequence == self._version + 1
        self._version = entry.sequence
        self._updated_at = stored.processed_at
        self._event_count += len(entry.raised)
        if entry.change:
            self._data = apply(self._data, [from_json(operation) for operation in entry.change])
        effects = entry.effects or {}
        if "waits" in effects:
            self._waits = tuple(Wait.from_json(wait) for wait in effects["waits"])
        if "failure" in effects:
            self._failure = Failure(**effects["failure"]) if effects["failure"] else None
        if "output" in effects:
            self._output = effects["output"]
        if "status" in effects:
            self._status = Status(effects["status"])
            self._completed_at = None if self._status.is_open else stored.processed_at

    def moment(self) -> Instance:
        """The instance after the last entry that was added. Unchanged parts are shared between moments.
        History does not record what was open, so nothing is open here."""
        return replace(
            self._instance,
            version=self._version,
            data=self._data,
            output=self._output,
            status=self._status,
            waits=self._waits,
            failure=self._failure,
            updated_at=self._updated_at,
            completed_at=self._completed_at,
            event_count=self._event_count,
            unsettled=0,
            dead_letters=0,
            groups=(),
            timers=0,
            turn=None,
            idle=None,
            idle_since=None,
        )
