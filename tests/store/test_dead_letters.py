"""Dead letters of many instances: found in portions, read together, counted with what was written."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from store.instances import Engine, task
from support.databases import analyse

from waystation_core.ports.store import (
    DeadLetterFilter,
    DeadLetterInstances,
    InstanceDeadLetters,
    OpenDeadLetters,
    Tally,
)
from waystation_core.providers import PROVIDERS
from waystation_core.store import dead_letters as stored
from waystation_domain import dead_letters
from waystation_domain.commit import InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import DeadLetterState, NewEvent, OnFailure
from waystation_domain.outcomes import AttemptError, Reply

BAD = AttemptError("TASK_FAILURE", "BAD", "no", permanent=True)
ANY = DeadLetterFilter()


async def dead(engine: Engine, number: int = 1) -> int:
    """The key of an instance with so many dead letters."""
    instance, event = await engine.started()
    raised = tuple(NewEvent(f"e{at}", {"n": at}) for at in range(number))
    commit = await engine.handle(event, task("a"), Reply(events=raised))
    for one in commit.raised:
        await engine.handle(one, task("a", on_failure=OnFailure.CONTINUE), BAD)
    return instance.key


def retried(one: InstanceDeadLetters) -> InstanceCommit:
    draft = Draft(one.instance, facts=one.facts, rules=Rules(PROVIDERS), now=one.now)
    assert dead_letters.retry_dead_letters(draft, one.dead_letters, one.held) == len(
        one.dead_letters
    )
    return draft.commit()


def shown(found: OpenDeadLetters) -> tuple[dict[int, int], list[int]]:
    return {one.instance.key: len(one.dead_letters) for one in found.of}, list(found.remaining)


async def test_instances_are_found_in_portions_of_dead_letters_looked_at(engine: Engine) -> None:
    keys = [await dead(engine, 2) for _ in range(3)]
    look = engine.queries.dead_letter_instances
    assert await look(ANY) == DeadLetterInstances(keys, None)
    assert await look(ANY, limit=4) == DeadLetterInstances(keys[:2], keys[1])
    assert await look(ANY, after=keys[1], limit=4) == DeadLetterInstances(keys[2:], None)
    # What is not meant is looked at, too; the one that is cut in two is named, whatever it has.
    other = DeadLetterFilter(task_ids=("other",))
    assert await look(other, limit=3) == DeadLetterInstances([keys[1]], keys[1])
    assert await look(other) == DeadLetterInstances([], None)
    assert await look(ANY, namespace="other") == DeadLetterInstances([], None)
    await engine.rows(
        "UPDATE dead_letters SET state = %s WHERE instance_key = %s",
        DeadLetterState.RETRIED,
        keys[0],
    )
    assert await look(ANY) == DeadLetterInstances(keys[1:], None)


@pytest.mark.parametrize("of", [ANY, DeadLetterFilter(task_ids=("b", "c"), reasons=("BAD", "X"))])
async def test_dead_letters_of_named_instances_are_found_by_their_keys(
    engine: Engine, of: DeadLetterFilter, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many letters others have."""
    plans: list[str] = []
    key = await dead(engine)
    # Of a great many instances.
    await engine.rows(
        "INSERT INTO dead_letters SELECT gen_random_uuid(), 100 + n, gen_random_uuid(), task_id, "
        "attempts, error, on_failure, state, payload, edit, created_at, resolved_at "
        "FROM dead_letters, generate_series(1, 5000) n WHERE instance_key = %s",
        key,
    )
    analyse(database_url, "dead_letters")
    named = replace(of, workflow_instance_ids=("w-1", "w-2"))
    execute = AsyncConnection.execute

    async def explained(self: Any, query: Any, parameters: Any = None, **more: Any) -> Any:
        if "%(workflow_instance_ids)s" in query:
            cursor = await execute(self, f"EXPLAIN {query}", parameters, **more)
            plans.append("\n".join(row[0] for row in await cursor.fetchall()))
        return await execute(self, query, parameters, **more)

    monkeypatch.setattr(AsyncConnection, "execute", explained)
    await engine.queries.dead_letters(named)
    await engine.queries.dead_letter_instances(named)
    await engine.queries.open_dead_letters([1, 2], named, limit=5)
    assert len(plans) == 3
    for plan in plans:
        assert "Seq Scan on dead_letters" not in plan, plan
        letters = plan.partition("dead_letters")[2]
        assert re.search(r"Index Cond: \(.*instance_key = (ANY|k.key)", letters), plan
        assert "(workflow_instance_id = ANY" in plan, plan


async def test_dead_letters_of_several_instances_are_read_together(engine: Engine) -> None:
    keys = [await dead(engine, number) for number in (1, 2, 3)]
    without, _ = await engine.started()
    found = await engine.queries.open_dead_letters([*keys, without.key], ANY, limit=2)
    assert shown(found) == ({keys[0]: 1, keys[1]: 2}, [keys[2]])
    assert await engine.write(*(retried(one) for one in found.of)) == set(keys[:2])
    await engine.check(keys)
    assert shown(await engine.queries.open_dead_letters(keys, ANY, limit=3)) == ({keys[2]: 3}, [])
    later = DeadLetterFilter(created_after=datetime.now(UTC) + timedelta(hours=1))
    assert shown(await engine.queries.open_dead_letters(keys, later, limit=3)) == ({}, [])


async def test_instances_that_are_large_or_in_a_turn_are_left(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [await dead(engine) for _ in range(3)]
    await engine.rows(
        "UPDATE workflow_instances SET turn_holder = 'e:1:t', turn_until = now() WHERE key = %s",
        keys[0],
    )
    assert shown(await engine.queries.open_dead_letters(keys, ANY, limit=5)) == (
        {keys[1]: 1, keys[2]: 1},
        [keys[0]],
    )
    monkeypatch.setattr(
        stored, "_INSTANCES", stored._INSTANCES.replace(str(stored._BYTES_AT_ONCE), "2000")
    )
    await engine.rows(
        "UPDATE workflow_instances SET output = to_json((SELECT string_agg(md5(n::text), '') "
        "FROM generate_series(1, 200) n)) WHERE key = %s",
        keys[2],
    )
    assert shown(await engine.queries.open_dead_letters(keys, ANY, limit=5)) == (
        {keys[1]: 1},
        [keys[0], keys[2]],
    )


async def test_a_request_counts_what_was_written_for_it_and_nothing_else(engine: Engine) -> None:
    keys = [await dead(engine, 2) for _ in range(3)]
    await engine.store.begin_request("Retry", "r-1", b"d")
    found = await engine.queries.open_dead_letters(keys, ANY, limit=5)
    await engine.publish(keys[0])
    tally = Tally("Retry", "r-1", dict.fromkeys(keys, 2))
    commits = [retried(one) for one in found.of]
    async with engine.store.locked(key=keys[1]):
        written = await engine.store.commit(
            commits, generations={"default": await engine.generation()}, tally=tally
        )
    assert written.keys == {keys[2]}
    assert (await engine.store.begin_request("Retry", "r-1", b"d")).count == 2
    # Nothing of it is kept without what it counts.
    before = await engine.everything()
    broken = Tally("Retry", "r-1", {keys[1]: 2**40})
    with pytest.raises(Exception, match="NumericValueOutOfRange"):
        await engine.store.commit(
            commits, generations={"default": await engine.generation()}, tally=broken
        )
    assert await engine.everything() == before
    assert await engine.store.end_request("Retry", "r-1") == 2
