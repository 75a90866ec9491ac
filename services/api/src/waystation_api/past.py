"""An instance as it was: its history folded up to a sequence number.

The domain computed every change and history keeps it, so folding gives data back bit for bit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from waystation_core.domain.model import Failure, Instance, JsonObject, Status, Wait
from waystation_core.domain.operations import apply, from_json
from waystation_core.ports.store import StoredEntry


def as_it_was(instance: Instance, entries: Sequence[StoredEntry]) -> Instance:
    """The instance after the last of these entries, which must be its first ones, without gaps."""
    last = entries[-1].entry.sequence
    return moments(instance, entries, {last})[last]


def moments(
    instance: Instance, entries: Sequence[StoredEntry], wanted: Collection[int]
) -> dict[int, Instance]:
    """The instance after each entry whose sequence is wanted, in one walk. The entries must be its
    first ones, without gaps. What did not change between two moments is shared by them."""
    found: dict[int, Instance] = {}
    data: JsonObject = {}
    output: JsonObject | None = None
    status = Status.ACTIVE
    waits: tuple[Wait, ...] = ()
    failure: Failure | None = None
    completed_at = None
    event_count = 0
    for stored in entries:
        entry = stored.entry
        event_count += len(entry.raised)
        if entry.change:
            data = apply(data, [from_json(operation) for operation in entry.change])
        effects = entry.effects or {}
        if "waits" in effects:
            waits = tuple(Wait.from_json(wait) for wait in effects["waits"])
        if "failure" in effects:
            failure = Failure(**effects["failure"]) if effects["failure"] else None
        if "output" in effects:
            output = effects["output"]
        if "status" in effects:
            status = Status(effects["status"])
            completed_at = None if status.is_open else stored.processed_at
        if entry.sequence in wanted:
            found[entry.sequence] = replace(
                instance,
                version=entry.sequence,
                data=data,
                output=output,
                status=status,
                waits=waits,
                failure=failure,
                updated_at=stored.processed_at,
                completed_at=completed_at,
                event_count=event_count,
                idle=None,
                idle_since=None,
            )
    return found
