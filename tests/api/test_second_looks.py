"""The second look of catch-up belongs to the server that claimed it until it is done."""

from __future__ import annotations

from typing import Any, cast

import pytest

from waystation_api.handlers.registrations import Registrations
from waystation_core.ports.store import ToCatchUp
from waystation_domain.endpoints import Allowlist
from waystation_domain.errors import StoreUnavailable
from waystation_domain.task_spec import TaskSpec

TASK = TaskSpec("score", "claims", ("asked",), ("claim",))


class Registry:
    """One look is due; `away` times the database is away while it is taken."""

    def __init__(self, away: int) -> None:
        self.due = [TASK]
        self.away = away
        self.looked: list[str] = []

    async def catch_ups_due(self) -> list[TaskSpec]:
        due, self.due = self.due, []
        return due

    async def instances_to_catch_up(self, task: TaskSpec, **_: Any) -> ToCatchUp:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        return ToCatchUp([], None)

    async def caught_up(self, task_id: str, namespace: str) -> None:
        self.looked.append(task_id)


async def test_a_look_that_an_outage_cut_short_is_taken_with_the_next_turn() -> None:
    registry = Registry(away=1)
    nothing = cast(Any, None)
    registrations = Registrations(cast(Any, registry), nothing, nothing, Allowlist(()), at_most=1)
    with pytest.raises(StoreUnavailable):
        await registrations.look_again()
    assert registry.looked == []
    await registrations.look_again()
    await registrations.look_again()
    assert registry.looked == ["score"]
