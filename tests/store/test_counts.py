"""Instances are counted, or estimated where there are too many, and it is said which."""

from __future__ import annotations

import pytest
from store.instances import Engine

from waystation_core.store import counts, system_numbers
from waystation_domain.model import Status

# Instances of which every tenth is FAILED and every hundredth ACTIVE, of them every other one idle.
_MANY = """
INSERT INTO workflow_instances (namespace, workflow_instance_id, workflow_type, status, version,
    revision, data, unsettled, dead_letters, event_count, start_digest, idle)
SELECT 'default', n::text, 't', CASE WHEN n %% 100 = 0 THEN 1 WHEN n %% 10 = 0 THEN 4 ELSE 3 END,
    1, 1, '{}', 0, 0, 1, '', CASE WHEN n %% 200 = 0 THEN '{}'::json END
FROM generate_series(1, %s) n
"""


async def test_few_instances_are_counted_and_many_estimated(
    each_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted() -> tuple[dict[str, int], int, bool]:
        facts = await each_engine.queries.system()
        by_status = {status.name: number for status, number in facts.workflows_by_status.items()}
        return by_status, facts.idle_workflows, facts.workflows_estimated

    nothing = dict.fromkeys((status.name for status in Status), 0)
    assert await counted() == (nothing, 0, False)
    await each_engine.rows(_MANY, 20_000)
    exact = nothing | {"ACTIVE": 200, "FAILED": 1_800, "COMPLETED": 18_000}
    assert await counted() == (exact, 100, False)
    monkeypatch.setattr(counts, "NEWEST", 20_000)
    assert await counted() == (exact, 100, False)
    # So small a table is sampled whole.
    monkeypatch.setattr(counts, "NEWEST", 1_000)
    assert await counted() == (exact, 100, True)
    monkeypatch.setattr(counts, "_PAGES", 60)
    by_status, idle, estimated = await counted()
    assert estimated
    assert by_status.keys() == exact.keys()
    assert sum(by_status.values()) == pytest.approx(20_000, rel=0.4)
    assert by_status["FAILED"] == pytest.approx(1_800, rel=0.5)
    assert by_status["WAITING_FOR_INPUT"] == 0
    assert 10 <= idle <= 200
    assert await counted() == (by_status, idle, True)
    other = await each_engine.queries.system("other")
    assert not any(other.workflows_by_status.values())


async def test_the_numbers_for_metrics_are_of_all_namespaces_and_bounded(
    each_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = await each_engine.queries.numbers()
    assert (empty.outbox, empty.dead_letters, empty.oldest_age) == (0, 0, 0.0)
    assert set(empty.deliveries.values()) == {0}
    await each_engine.rows(_MANY, 2_000)
    await each_engine.rows(_MANY.replace("'default', n::text", "'other', n::text"), 1_000)
    numbers = await each_engine.queries.numbers()
    assert numbers.open_workflows == {Status.ACTIVE: 30, Status.WAITING_FOR_INPUT: 0}
    assert numbers.idle_workflows == 15
    # Completed ones are not looked at; failed ones are.
    monkeypatch.setattr(system_numbers, "_OPEN", system_numbers._OPEN.replace("50000", "100"))
    assert (await each_engine.queries.numbers()).open_workflows[Status.ACTIVE] == 10
