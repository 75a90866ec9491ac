"""The router's copy of the registry: who handles what, and whose specs are still needed."""

from __future__ import annotations

from typing import cast

from waystation_core.ports.store import Registration, RegistrySnapshot, RegistryStore
from waystation_domain.task_spec import TaskSpec
from waystation_router.registry import RegistryCopy

STAYS, GONE, ELSEWHERE = (
    TaskSpec(task_id, "claims", ("claim.*",), ("claim",)) for task_id in ("stays", "gone", "no")
)
ENDPOINT = Registration("h-1", "claims", "2", "127.0.0.1", 7500, False, (STAYS, GONE))


class Registry:
    """One snapshot."""

    async def changes(self, namespace: str = "default") -> tuple[int, int]:
        return 3, 7

    async def snapshot(self, namespace: str = "default") -> RegistrySnapshot:
        return RegistrySnapshot(3, 7, (ELSEWHERE, STAYS), (ENDPOINT,), retired=(GONE,))


async def test_a_retired_task_gets_nothing_and_its_spec_is_known_still() -> None:
    seen: list[RegistrySnapshot] = []
    copy = RegistryCopy(cast(RegistryStore, Registry()), seen.append)
    for _ in range(2):
        await copy.refresh()
    assert len(seen) == 1
    assert copy.resolve("claim.filed", "claim") == (ELSEWHERE, STAYS)
    # Its endpoint declares it all the same.
    assert copy.live_tasks() == [STAYS]
    assert copy.task("gone") is GONE, "what it has in call goes by its spec"
    assert copy.task("unknown") is None
