"""Connections to Postgres: opened, checked, and their errors translated.

There are two pools. The hot one is for the work: at thousands of statements a second every layer in between
costs, so it is psycopg's own, with constant statements, planned once. Questions (lists, counts, histories)
have a few connections of their own, where each is planned on its own: a long one takes no connection from the
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from waystation_core.background import job
from waystation_core.store.faults import DRIVER_ERRORS, spoils_connection, translated
from waystation_domain.errors import StoreUnavailable

Connection = AsyncConnection[TupleRow]
ConnectionPool = AsyncConnectionPool[Connection]

STATEMENT_TIMEOUT_SECONDS = 5
"""Bounds every statement; catch-up relies on it to know when older commits have ended."""

_SESSION = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "timezone": "UTC",
    "jit": "off",
}

# Every statement of the hot path reaches a few rows of large tables, by key. Plans are made once for each
# connection and kept, perhaps while the database is new and a full scan looks cheap: full scans are switched
# off, or commits would become slower with every row until the next ANALYZE.
HOT_SESSION = {
    **_SESSION,
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of each connection for the work. Without them it is neither bounded nor fast."""

# A question is answered from an index, in its order, and in portions. Without statistics (after a restore, in
# the first minute of a flood) the planner would read and sort everything instead.
QUESTION_SESSION = {**_SESSION, "enable_seqscan": "off", "enable_bitmapscan": "off"}
"""Settings of each connection for questions."""


def options_of(settings: Mapping[str, str]) -> str:
    """As options of a Postgres connection."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def _configure(connection: Connection) -> None:
    await connection.set_autocommit(True)
    set_json_loads(orjson.loads, connection)
    set_json_dumps(orjson.dumps, connection)


async def _configure_hot(connection: Connection) -> None:
    await _configure(connection)
    connection.prepare_threshold = 1


async def _configure_for_questions(connection: Connection) -> None:
    await _configure(connection)
    # Never prepared: each is planned for its own values and current statistics.
    connection.prepare_threshold = None
    # What several statements of one transaction read is the state of one moment.
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)


def open_pool(url: str, *, size: int, name: str) -> ConnectionPool:
    """A pool for the work, which connects once it is opened (`await pool.open()`); `size` connections at
    most.

    Connections are in autocommit mode and bounded in every way in which a dead peer could hold
    them (keepalives, tcp_user_timeout, statement_timeout). They are not checked before each use,
    which would cost a round trip; the first failure has all of them checked.
    """
    return _pool(url, size, name, HOT_SESSION, _configure_hot, check=None)


def hot_share(size: int) -> int:
    """How many of a server's connections are for its work; the others are for questions."""
    return size - max(1, size // 4)


@dataclass(frozen=True, slots=True)
class Connections:
    """All connections of a server that answers questions."""

    hot: ConnectionPool
    questions: ConnectionPool

    async def open(self, *, wait: bool = False) -> None:
        """Connects; with `wait` it returns when the first connections are open."""
        await self.hot.open(wait=wait)
        await self.questions.open(wait=wait)

    async def close(self) -> None:
        await self.questions.close()
        await self.hot.close()


def open_connections(url: str, *, size: int, name: str) -> Connections:
    """Both pools, with `size` connections together."""
    hot = hot_share(size)
    return Connections(
        open_pool(url, size=hot, name=name),
        # Checked before each use: questions are rare, and nothing else would notice that Postgres was away.
        _pool(
            url,
            size - hot,
            f"{name}-questions",
            QUESTION_SESSION,
            _configure_for_questions,
            check=AsyncConnectionPool.check_connection,
        ),
    )


def _pool(
    url: str,
    size: int,
    name: str,
    session: Mapping[str, str],
    configure: Callable[[Connection], Awaitable[None]],
    *,
    check: Callable[[Connection], Awaitable[None]] | None,
) -> ConnectionPool:
    return AsyncConnectionPool(
        url,
        connection_class=Connection,
        kwargs={
            "application_name": name,
            "options": options_of(session),
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
        configure=configure,
        check=check,
        name=name,
        open=False,
    )


@asynccontextmanager
async def connection_of(pool: ConnectionPool) -> AsyncIterator[Connection]:
    """A connection for a statement or a transaction. Library errors become StoreUnavailable, or WriteRefused
    if what was to be written is invalid (`faults`)."""
    task = asyncio.current_task()
    cancels = task.cancelling() if task is not None else 0
    try:
        async with pool.connection() as connection:
            # The pool uses Python 3.11's wait_for, which forgets a cancellation that arrives together with
            # the connection; the one who cancelled would wait for ever.
            if task is not None and task.cancelling() > cancels:
                raise asyncio.CancelledError
            try:
                yield connection
            except psycopg.Error as error:
                if spoils_connection(error):
                    await connection.close()
                raise
    except DRIVER_ERRORS as error:
        translation = translated(error)
        if isinstance(translation, StoreUnavailable) and not pool.closed:
            # After a restart of Postgres every idle connection is dead, not only this one.
            _background(pool.check())
        raise translation from error


async def fetch(pool: ConnectionPool, query: str, parameters: Any) -> list[TupleRow]:
    """All rows of one query."""
    async with connection_of(pool) as connection:
        cursor = await connection.execute(query, parameters)
        return await cursor.fetchall()


async def claim(pool: ConnectionPool, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    """Rows claimed within a transaction that commits after they were read: if the answer is lost, nothing is
    claimed. If the answer to the commit is lost, they count as claimed, whether or not they are: for work
    that may be done twice, or is checked before it is done."""
    found: list[tuple[Any, ...]] = []
    try:
        async with connection_of(pool) as connection, connection.transaction():
            found = await (await connection.execute(query, parameters)).fetchall()
    except StoreUnavailable:
        if not found:
            raise
    return found


_checks: set[asyncio.Task[None]] = set()


def _background(check: Coroutine[Any, Any, None]) -> None:
    if _checks:
        check.close()
        return
    task = job("check connections", check)
    _checks.add(task)
    task.add_done_callback(_checks.discard)


def json_text(value: Any) -> str:
    """A parameter for `json_to_recordset`: many rows in one argument, encoded once in C."""
    return orjson.dumps(value).decode()
