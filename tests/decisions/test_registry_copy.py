"""A server's copy of the registry: who handles what, whose specs are still needed, and how old it may be."""

from __future__ import annotations

from typing import cast

from waystation_core.ports.store import Registration, RegistrySnapshot, RegistryStore
from waystation_core.registry_copy import RegistryCopy
from waystation_domain.completion_tokens import Attempt, CompletionTokens
from waystation_domain.task_spec import TaskSpec

STAYS, GONE, ELSEWHERE = (
    TaskSpec(task_id, "claims", ("claim.*",), ("claim",)) for task_id in ("stays", "gone", "no")
)
ENDPOINT = Registration("h-1", "claims", "2", "127.0.0.1", 7500, False, (STAYS, GONE))
KEY = b"of this installation"


class Registry:
    """One snapshot, by the counters that the test sets."""

    def __init__(self) -> None:
        self.counters = (3, 7)
        self.looks = 0

    async def changes(self, namespace: str = "default") -> tuple[int, int]:
        self.looks += 1
        return self.counters

    async def snapshot(self, namespace: str = "default") -> RegistrySnapshot:
        return RegistrySnapshot(
            *self.counters, (ELSEWHERE, STAYS), (ENDPOINT,), retired=(GONE,), completion_key=KEY
        )


async def test_a_retired_task_gets_nothing_and_its_spec_is_known_still() -> None:
    copy = RegistryCopy(cast(RegistryStore, Registry()))
    await copy.refresh()
    assert copy.resolve("claim.filed", "claim") == (ELSEWHERE, STAYS)
    # Its endpoint declares it anyway.
    assert copy.live_tasks() == [STAYS]
    assert copy.task("gone") is GONE, "what it has in call goes by its spec"
    assert copy.task("unknown") is None
    attempt = Attempt("01a20000-0000-7000-8000-000000000001", "stays", 0, 1)
    token = CompletionTokens(KEY).of(attempt.event_id, "stays", 0, 1)
    assert copy.tokens.read(token) == attempt


async def test_it_is_read_again_when_the_registry_changed_and_only_then() -> None:
    registry, seen = Registry(), list[RegistrySnapshot]()
    copy = RegistryCopy(cast(RegistryStore, registry), on_change=seen.append)
    for counters in ((3, 7), (3, 7), (3, 8), (4, 9)):
        registry.counters = counters
        await copy.refresh()
    assert [(one.generation, one.changes) for one in seen] == [(3, 7), (3, 8), (4, 9)]
    assert copy.generation == 4


async def test_a_copy_that_is_fresh_enough_is_not_compared_again() -> None:
    registry = Registry()
    copy = RegistryCopy(cast(RegistryStore, registry))
    for older_than in (60.0, 60.0, 0.0):
        await copy.refresh(older_than=older_than)
    assert registry.looks == 2
