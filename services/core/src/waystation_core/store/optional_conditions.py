"""Statements with optional conditions. SQLAlchemy Core builds them, once for each set of conditions; psycopg
executes them.

A statement is built from the names of the given values. A table has each condition by the name of its value:
nothing is concatenated, and a condition without a value is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column
from sqlalchemy.dialects.postgresql import psycopg

from waystation_core.store.connections import Connection
from waystation_core.store.rows import Columns, Row

Given = frozenset[str]
Build = Callable[[Given], Select[Any]]

_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]


async def ask(connection: Connection, build: Build, values: Mapping[str, Any]) -> Sequence[Row]:
    """The rows of the statement that `build` makes for the given values, without those that are None or
    empty."""
    given = {name: value for name, value in values.items() if value is not None and value != []}
    text, constants = _compiled(build, frozenset(given))
    cursor = await connection.execute(text, {**constants, **given})
    return await cursor.fetchall()


@lru_cache(maxsize=500)
def _compiled(build: Build, given: Given) -> tuple[str, dict[str, Any]]:
    """Building one takes milliseconds: longer than executing it."""
    compiled = build(given).compile(dialect=_DIALECT)
    return str(compiled), dict(compiled.params)


def conditions(table: Mapping[str, ColumnElement[bool]], given: Given) -> list[ColumnElement[bool]]:
    """The conditions of a table whose value is given."""
    return [condition for name, condition in table.items() if name in given]


def columns(names: Columns) -> list[ColumnElement[Any]]:
    """For a SELECT from tables whose aliases are those of these columns."""
    return [literal_column(name) for name in names]
