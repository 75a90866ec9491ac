"""The real store, asked for one thing at a time: each call is carried out whole before the loop that
asked goes on. So the order of everything is the test's to choose."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from model.checking import Story

from waystation_core.store.connections import open_connections
from waystation_core.store.engine import PostgresEngineStore
from waystation_core.store.queries import PostgresQueryStore
from waystation_core.store.registry import PostgresRegistryStore

T = TypeVar("T")


class Database:
    """A pool in a thread of its own, and what the machine does to the rows behind everybody's back."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connections = self.run(self._open(url))
        self._tables = [
            row[0]
            for row in self.rows(
                "SELECT table_name FROM information_schema.tables "
                "WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1"
            )
        ]
        self.rows("CREATE SCHEMA first")
        for table in self._tables:
            self.rows(f"CREATE TABLE first.{table} AS SELECT * FROM {table}")
        rows = self.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' "
            "AND table_name <> 'history' ORDER BY table_name, column_name"
        )
        self._times: dict[str, list[str]] = {}
        for table, column in rows:
            self._times.setdefault(table, []).append(column)

    @staticmethod
    async def _open(url: str) -> Any:
        connections = open_connections(url, size=4, name="model")
        await connections.open(wait=True)
        return connections

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carries it out in the thread, and waits."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def rows(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        async def ask() -> list[tuple[Any, ...]]:
            async with self._connections.hot.connection() as connection:
                cursor = await connection.execute(query, parameters)
                return await cursor.fetchall() if cursor.description else []

        return self.run(ask())

    def stories(self) -> list[Story]:
        """All instances with all their rows."""

        async def read() -> list[Story]:
            async with self._connections.hot.connection() as connection:
                cursor = await connection.execute("SELECT key FROM workflow_instances ORDER BY key")
                return [await Story.read(connection, row[0]) for row in await cursor.fetchall()]

        return self.run(read())

    def faces(self) -> tuple[Any, Any, Any]:
        """Engine, registry and query store, for use in any loop."""
        return (
            Serial(PostgresEngineStore(self._connections.hot), self),
            Serial(PostgresRegistryStore(self._connections.hot), self),
            Serial(PostgresQueryStore(self._connections), self),
        )

    def empty(self) -> None:
        """As after the migration."""
        self.rows(
            "; ".join(
                f"DELETE FROM {table}; "
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM first.{table}"
                for table in self._tables
            )
        )

    def age(self, seconds: float) -> None:
        """Moves every time that is stored so far into the past: the database's clock has moved on."""
        self.rows(
            "; ".join(
                f"UPDATE {table} SET "
                + ", ".join(f"{c} = {c} - interval '{seconds} s'" for c in columns)
                for table, columns in self._times.items()
            )
        )

    def close(self) -> None:
        self.run(self._connections.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Serial:
    """A face of the store whose calls are over when they return to the loop. A caller that is dead gets
    no further: `alive` says so."""

    def __init__(self, target: Any, database: Database) -> None:
        self._target = target
        self._database = database
        self.alive = True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name.startswith("_") or not callable(found):
            return found
        if inspect.iscoroutinefunction(found):

            async def method(*given: Any, **named: Any) -> Any:
                await self._if_alive()
                return self._database.run(found(*given, **named))

            return method

        def block_or_value(*given: Any, **named: Any) -> Any:
            made = found(*given, **named)
            return self._block(made) if isinstance(made, AbstractAsyncContextManager) else made

        return block_or_value

    async def _if_alive(self) -> None:
        # Others may come between two calls, as they do between two statements.
        await asyncio.sleep(0)
        if not self.alive:
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def _block(self, block: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        await self._if_alive()
        inside = self._database.run(_call(block.__aenter__))
        try:
            yield _Inside(inside, self._database)
        except BaseException as error:
            if not self._database.run(
                _call(block.__aexit__, type(error), error, error.__traceback__)
            ):
                raise
        else:
            self._database.run(_call(block.__aexit__, None, None, None))


class _Inside:
    """One locked instance. Nobody else gets a turn while it is held: a second lock would wait for it."""

    def __init__(self, target: Any, database: Database) -> None:
        self._target = target
        self._database = database

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def method(*given: Any, **named: Any) -> Any:
            return self._database.run(found(*given, **named))

        return method


async def _call(function: Any, *given: Any) -> Any:
    return await function(*given)
