"""The pools and routers, as this router last read them."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_domain.pools import Pool, Pools


class PoolsSeen:
    """`now` is replaced by each heartbeat; before the first one the router assumes that it is alone."""

    def __init__(self, own: Pool) -> None:
        self._own = own
        self.now = Pools(own, (own,))

    def update(self, there: Sequence[Pool]) -> None:
        self.now = Pools(self._own, there)
