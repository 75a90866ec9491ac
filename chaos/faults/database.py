"""Faults of Postgres: restarted, killed, read-only, its tables changed or locked under the engine."""

import asyncio
from functools import partial
from typing import Any, Literal, cast

import psycopg

from chaos.faults.servers import gone
from chaos.faults.world import Bite, Hold, Params, World


async def restart(world: World, params: Params, hold: Hold) -> Bite:
    """Stopped in the way that `mode` says, down for a while, started again."""
    server = world.system.postgres
    mode = cast(Literal["fast", "immediate", "kill"], params["mode"])
    end = server.kill if mode == "kill" else partial(server.stop_server, mode)
    return await gone(server, end, hold)


async def end_backends(world: World, params: Params, hold: Hold) -> Bite:
    """Every connection is ended by the administrator, some times over."""
    ended = 0
    for _ in range(params["times"]):
        rows = await _run(
            world,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        ended += len(rows)
        await asyncio.sleep(1)
    await hold()
    return Bite(ended > 0, {"ended": ended})


async def read_only(world: World, params: Params, hold: Hold) -> Bite:
    """Every transaction is read-only, as after a failover that went wrong."""
    before = await _rollbacks(world)
    await _run(world, "ALTER SYSTEM SET default_transaction_read_only = on")
    await _run(world, "SELECT pg_reload_conf()")
    try:
        await hold()
        shown = await _run(world, "SHOW default_transaction_read_only")
    finally:
        await _run(
            world,
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
        )
        await _run(world, "SELECT pg_reload_conf()")
    refused = await _rollbacks(world) - before
    return Bite(shown == [("on",)], {"setting": shown[0][0], "rolled_back": refused})


async def rename_column(world: World, params: Params, hold: Hold) -> Bite:
    """A column has another name for a moment, as in a migration that was not meant for this
    release."""
    table, column = params["table"], params["column"]
    before = await _rollbacks(world)
    away = f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_away"
    back = f"ALTER TABLE {table} RENAME COLUMN {column}_away TO {column}"
    await _run(world, "SET lock_timeout = '5s'", away)
    try:
        await hold()
    finally:
        await _run(world, "SET lock_timeout = '30s'", back)
    # Postgres tells its counts with a delay of up to a second.
    await asyncio.sleep(1.5)
    failed = await _rollbacks(world) - before
    return Bite(failed > 0, {"rolled_back": failed})


async def lock_table(world: World, params: Params, hold: Hold) -> Bite:
    """A table is locked by somebody else, as ALTER TABLE does."""
    waiting = 0
    connection = await _connect(world)
    try:
        await connection.execute(f"LOCK TABLE {params['table']} IN ACCESS EXCLUSIVE MODE")
        await hold()
        rows = await _run(world, "SELECT count(*) FROM pg_locks WHERE NOT granted")
        waiting = int(rows[0][0])
    finally:
        await connection.close()
    return Bite(waiting > 0, {"waiting": waiting})


async def idle_in_transaction(world: World, params: Params, hold: Hold) -> Bite:
    """A session that has taken a snapshot and rows' locks, and does nothing more."""
    connection = await _connect(world)
    try:
        await _lock_rows_in_a_snapshot(connection)
        await hold()
        rows = await _run(
            world, "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        )
    finally:
        await connection.close()
    return Bite(int(rows[0][0]) > 0, {"idle_in_transaction": int(rows[0][0])})


async def _lock_rows_in_a_snapshot(connection: psycopg.AsyncConnection[Any]) -> None:
    """Again where one of the rows was changed since the snapshot was taken."""
    while True:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        try:
            await connection.execute(
                "SELECT key FROM workflow_instances ORDER BY key DESC LIMIT 5 FOR UPDATE"
            )
        except psycopg.errors.SerializationFailure:
            await connection.rollback()
        else:
            return


async def _connect(world: World) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(world.system.postgres.dsn(), connect_timeout=10)


async def _run(world: World, *statements: str) -> list[tuple[Any, ...]]:
    """What the last statement gives; each is a transaction of its own."""
    connection = await _connect(world)
    try:
        await connection.set_autocommit(True)
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            cursor = await connection.execute(statement)
            rows = await cursor.fetchall() if cursor.description else []
        return rows
    finally:
        await connection.close()


async def _rollbacks(world: World) -> int:
    rows = await _run(
        world, "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(rows[0][0])
