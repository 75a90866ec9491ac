"""Filters of dead letters as SQL conditions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Join,
    Select,
    SmallInteger,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)

from waystation_core.ports.store import DeadLetterFilter
from waystation_core.store import states, tables
from waystation_core.store.dead_letter_rows import OPEN_COLUMNS
from waystation_core.store.optional_conditions import Given, columns, conditions

LETTERS = tables.dead_letters.alias("l")
_EVENTS = tables.events.alias("e")
_INSTANCES = tables.workflow_instances.alias("i")
_NAMED = tables.workflow_instances.alias("n")

_AS_TEXT = Uuid(as_uuid=False)


def with_their_own(dead_letters: FromClause) -> Join:
    """Dead letters `l` with their events `e` and instances `i`."""
    return dead_letters.join(_EVENTS, _EVENTS.c.event_id == dead_letters.c.event_id).join(
        _INSTANCES, _INSTANCES.c.key == dead_letters.c.instance_key
    )


def values_of(filter: DeadLetterFilter, namespace: str) -> dict[str, Any]:
    """The values for statements with these conditions."""
    return {
        "namespace": namespace,
        "states": [int(state) for state in filter.states],
        "workflow_instance_ids": list(filter.workflow_instance_ids),
        "workflow_types": list(filter.workflow_types),
        "task_ids": list(filter.task_ids),
        "event_types": list(filter.event_types),
        "reasons": list(filter.reasons),
        "created_after": filter.created_after,
        "created_before": filter.created_before,
        **_ids_between(filter.id_prefix),
    }


def _ids_between(prefix: str) -> dict[str, str]:
    """The first and the last id that begin so."""
    if not prefix:
        return {}
    digits = prefix.replace("-", "")
    return {"first_id": digits.ljust(32, "0"), "last_id": digits.ljust(32, "f")}


def _texts(name: str) -> ColumnElement[Any]:
    return any_(bindparam(name, type_=ARRAY(Text)))


def matches(dead_letters: FromClause, given: Given) -> list[ColumnElement[bool]]:
    """The conditions of a filter's values on `with_their_own`."""
    dead_letter, event, instance = dead_letters.c, _EVENTS.c, _INSTANCES.c
    return named(dead_letters, given) + conditions(
        {
            "namespace": instance.namespace == bindparam("namespace"),
            "states": dead_letter.state == any_(bindparam("states", type_=ARRAY(SmallInteger))),
            "workflow_types": instance.workflow_type == _texts("workflow_types"),
            "task_ids": dead_letter.task_id == _texts("task_ids"),
            "event_types": event.event_type == _texts("event_types"),
            "reasons": dead_letter.error.op("->>")(literal_column("'reason'")) == _texts("reasons"),
            "created_after": dead_letter.created_at >= bindparam("created_after"),
            "created_before": dead_letter.created_at < bindparam("created_before"),
            "first_id": dead_letter.dead_letter_id >= bindparam("first_id", type_=_AS_TEXT),
            "last_id": dead_letter.dead_letter_id <= bindparam("last_id", type_=_AS_TEXT),
        },
        given,
    )


def named(dead_letters: FromClause, given: Given) -> list[ColumnElement[bool]]:
    """Only dead letters of the instances that a filter names, if any. Their keys come first: by them there is
    an index, however many other dead letters there are."""
    keys = select(_NAMED.c.key).where(
        _NAMED.c.namespace == bindparam("namespace"),
        _NAMED.c.workflow_instance_id == _texts("workflow_instance_ids"),
    )
    of_instances = dead_letters.c.instance_key == any_(func.array(keys.scalar_subquery()))
    return conditions({"workflow_instance_ids": of_instances}, given)


def open_dead_letters(given: Given) -> Select[Any]:
    """The open dead letters of one instance, by id."""
    of = LETTERS.c
    after = {"after_id": of.dead_letter_id > bindparam("after_id")}
    return (
        select(*columns(OPEN_COLUMNS))
        .select_from(with_their_own(LETTERS))
        .where(of.instance_key == bindparam("key"), of.state == states.OPEN_LETTER)
        .where(*matches(LETTERS, given), *conditions(after, given))
        .order_by(of.dead_letter_id)
        .limit(bindparam("limit", type_=Integer))
    )
