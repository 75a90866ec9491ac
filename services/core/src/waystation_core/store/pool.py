"""Connections to Postgres: how they are opened, checked, and how their errors come out.

The hot path and all transactions use psycopg's own pool: at thousands of statements a second every
layer between them shows. SQLAlchemy describes the schema and writes the queries of lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from waystation_core.running import job
from waystation_core.store.faults import DRIVER_ERRORS, spoils_connection, told
from waystation_domain.errors import StoreUnavailable

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

STATEMENT_TIMEOUT_SECONDS = 5
"""Bounds every statement; catch-up relies on it to know when older commits are over."""

# Every statement of the hot path reaches a few rows of tables that may be huge, by key. Plans are made once for
# each connection and kept, perhaps while the database is new and a scan of everything looks cheap:
# those ways are closed, or commits would become slower with every row until the next ANALYZE.
_PLANS = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan"
)

# For one transaction. Questions are rare, so that planning each costs nothing that counts; and what a
# nested loop does in steps that grow with the square, a hashed table does at once.
_PLANNED_FREELY = """SELECT set_config('enable_seqscan', 'on', true),
    set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true),
    set_config('plan_cache_mode', 'force_custom_plan', true)"""

_SESSION = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout=2s "
    f"-c idle_in_transaction_session_timeout=10s -c timezone=UTC {_PLANS}"
)


async def _configure(connection: Connection) -> None:
    await connection.set_autocommit(True)
    connection.prepare_threshold = 1
    set_json_loads(orjson.loads, connection)
    set_json_dumps(orjson.dumps, connection)


def open_pool(url: str, *, size: int, name: str) -> Pool:
    """A pool that connects once it is opened (`await pool.open()`); `size` connections at most.

    Connections are in autocommit mode and bounded in every way in which a dead peer could hold
    them (keepalives, tcp_user_timeout, statement_timeout). They are not checked before each use,
    which would cost a round trip; the first failure has all of them checked.
    """
    return AsyncConnectionPool(
        url,
        connection_class=Connection,
        kwargs={
            "application_name": name,
            "options": _SESSION,
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
        min_size=1,
        max_size=size,
        timeout=5.0,
        max_lifetime=3600.0,
        reconnect_timeout=10.0,
        configure=_configure,
        name=name,
        open=False,
    )


@asynccontextmanager
async def connection_of(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for a statement or a transaction. Library errors come out as StoreUnavailable
    or, where what was to be written is at fault, as WriteRefused (`faults`)."""
    task = asyncio.current_task()
    cancels = task.cancelling() if task is not None else 0
    try:
        async with pool.connection() as connection:
            # The pool waits by Python 3.11's wait_for, which forgets a cancellation that comes
            # together with the connection; whoever cancelled would wait for ever.
            if task is not None and task.cancelling() > cancels:
                raise asyncio.CancelledError
            try:
                yield connection
            except psycopg.Error as error:
                if spoils_connection(error):
                    await connection.close()
                raise
    except DRIVER_ERRORS as error:
        meant = told(error)
        if isinstance(meant, StoreUnavailable) and not pool.closed:
            # After a restart of Postgres every idle connection is dead, not only this one.
            _background(pool.check())
        raise meant from error


async def claim(pool: Pool, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    """Rows that are claimed by being told of: while the answer is on its way nothing is committed, so a lost
    one claims nothing. When the answer to the commit is lost they count as claimed, whether or not they are:
    for what may be done twice, or is looked at again before it is done."""
    found: list[tuple[Any, ...]] = []
    try:
        async with connection_of(pool) as connection, connection.transaction():
            found = await (await connection.execute(query, parameters)).fetchall()
    except StoreUnavailable:
        if not found:
            raise
    return found


@asynccontextmanager
async def question_of(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for a question that reaches many rows: each statement is planned by itself, with
    all ways of joining, when it is executed with `prepare=False`. Errors as from `connection_of`."""
    async with connection_of(pool) as connection, connection.transaction():
        await connection.execute(_PLANNED_FREELY)
        yield connection


_checks: set[asyncio.Task[None]] = set()


def _background(check: Coroutine[Any, Any, None]) -> None:
    if _checks:
        check.close()
        return
    task = job("check connections", check)
    _checks.add(task)
    task.add_done_callback(_checks.discard)


def sqlalchemy_url(url: str) -> str:
    """The same address for SQLAlchemy, with the psycopg 3 driver."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql+psycopg"))


def json_text(value: Any) -> str:
    """A parameter for `json_to_recordset`: many rows in one argument, encoded once in C."""
    return orjson.dumps(value).decode()
