"""An earlier state of an instance, from its history. It is read in portions: a long one takes time, but no
more memory than a portion."""

from __future__ import annotations

from collections.abc import AsyncIterator

from waystation_core.ports.store import HistoryFilter, QueryStore, StoredEntry
from waystation_domain.fold import Fold
from waystation_domain.model import Instance


async def entries_of(store: QueryStore, key: int, up_to: int) -> AsyncIterator[StoredEntry]:
    """The entries of an instance up to this one, in order."""
    seen, more = 0, True
    while more:
        portion = await store.history(key, HistoryFilter(seen + 1, up_to))
        for stored in portion.entries:
            yield stored
            seen = stored.entry.sequence
        more = portion.more


async def as_it_was(store: QueryStore, instance: Instance, sequence: int) -> Instance:
    """The instance after this entry, which must be one of its history."""
    fold = Fold(instance)
    async for stored in entries_of(store, instance.key, sequence):
        fold.add(stored)
    return fold.moment()
