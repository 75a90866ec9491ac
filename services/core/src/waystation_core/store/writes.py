"""Writes the decisions of the domain: commits of any number of instances as ONE statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from waystation_core.ports.store import Committed
from waystation_core.store import rows, statements
from waystation_core.store.connections import Connection, json_text
from waystation_domain.commit import InstanceCommit
from waystation_domain.model import DeadLetterState


async def write(
    connection: Connection, batch: Sequence[InstanceCommit], *, generations: Mapping[str, int]
) -> Committed:
    """Writes each commit whose instance still has the revision of its decision, and gives it the time of the
    statement, which is what is stored."""
    parameters, rare = _parameters(batch, generations)
    statement = statements.WRITE_ALL if rare else statements.WRITE
    cursor = await connection.execute(statement, parameters)
    written: dict[int, datetime] = dict(await cursor.fetchall())
    for commit in batch:
        if (at := written.get(commit.before.key)) is not None:
            commit.written(at)
    return Committed(frozenset(written))


async def count_request(
    connection: Connection,
    rpc: str,
    request_id: str,
    more: int,
    *,
    namespace: str,
    done: bool = False,
) -> int | None:
    """Adds to the count of a request of many transactions; returns the total. None: it is not stored."""
    cursor = await connection.execute(
        statements.COUNT_REQUEST,
        {"namespace": namespace, "rpc": rpc, "request_id": request_id, "more": more, "done": done},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row is not None else None


def _parameters(
    batch: Sequence[InstanceCommit], generations: Mapping[str, int]
) -> tuple[dict[str, Any], bool]:
    instances, history, events, outbox, taken = [], [], [], [], []
    put, ended, dead, resolved, timers, dropped = [], [], [], [], [], []
    for commit in batch:
        key, namespace = commit.before.key, commit.before.namespace
        instances.append(
            rows.instance_parameter(
                commit.before,
                commit.after,
                generation=generations[namespace] if commit.fixes_tasks else None,
            )
        )
        history += [rows.history_parameter(key, entry) for entry in commit.entries]
        events += [rows.event_parameter(key, event) for event in commit.raised]
        outbox += [rows.outbox_parameter(key, event) for event in commit.outbox_add]
        taken += [{"key": key, "event_id": event_id} for event_id in commit.outbox_remove]
        put += [
            rows.delivery_parameter(key, namespace, row) for row in commit.deliveries_put.values()
        ]
        ended += [
            {"key": key, "event_id": event_id, "task_id": task_id}
            for event_id, task_id in commit.deliveries_remove
        ]
        dead += [
            rows.dead_letter_parameter(key, dead_letter) for dead_letter in commit.dead_letters
        ]
        for dead_letters, state in (
            (commit.dead_letters_retried, DeadLetterState.RETRIED),
            (commit.dead_letters_discarded, DeadLetterState.DISCARDED),
        ):
            resolved += [
                {"key": key, "dead_letter_id": dead_letter, "state": state}
                for dead_letter in dead_letters
            ]
        timers += [rows.timer_parameter(key, timer) for timer in commit.timers_put.values()]
        dropped += [{"key": key, "kind": kind, "ref": ref} for kind, ref in commit.timers_remove]
    parameters = {
        "instances": json_text(instances),
        "history": json_text(history),
        "events": json_text(events),
        "outbox": json_text(outbox),
        "taken": json_text(taken),
    }
    rare = bool(put or ended or dead or resolved or timers or dropped)
    if rare:
        parameters |= {
            "put": json_text(put),
            "ended": json_text(ended),
            "dead": json_text(dead),
            "resolved": json_text(resolved),
            "timers": json_text(timers),
            "dropped": json_text(dropped),
        }
    return parameters, rare
