"""Whether a database meets the engine's needs: checked before anything is read or written, and all faults
reported at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

from waystation_core.store.connections import HOT_SESSION, QUESTION_SESSION, options_of
from waystation_core.store.tls import tls_faults

OLDEST = 15

_FACTS = """
SELECT current_setting('server_version_num')::int / 10000,
    encoding = pg_char_to_encoding('UTF8'), pg_encoding_to_char(encoding),
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int,
    current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('synchronous_commit')
FROM pg_database WHERE datname = current_database()
"""

_LOST_SETTINGS = """
SELECT name FROM unnest(%s::text[], %s::text[]) AS asked(name, value)
WHERE current_setting(name) <> value
"""

_LOOKS = 10
"""How often two connections are asked which process of Postgres they have."""


class UnfitDatabase(Exception):
    """The database must be another one, or have other settings; each fault says what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


def _faults(url: str, connections: int, *, lasting: bool) -> list[str]:
    with _any_connection(url) as connection:
        row = connection.execute(_FACTS).fetchone()
        assert row is not None, "one is connected to a database that there is"
        major, is_utf8, encoding, free, *durable = row
        fault_between = _fault_between(url, connection)
    faults = []
    if major < OLDEST:
        faults.append(f"Postgres has version {major}; it must be {OLDEST} or newer.")
    if not is_utf8:
        # Text comes as bytes if the database has no encoding.
        faults.append(
            f"The database's encoding is {_text(encoding)}; it must be UTF8, to store any text. Create "
            "another database: CREATE DATABASE waystation ENCODING 'UTF8' TEMPLATE template0."
        )
    if fault_between is not None:
        faults.append(
            f"What is between here and Postgres, perhaps PgBouncer, {fault_between}: let "
            "WAYSTATION_DATABASE_URL lead to Postgres itself."
        )
    if connections > free:
        faults.append(
            f"WAYSTATION_API_DATABASE_CONNECTIONS or WAYSTATION_ROUTER_DATABASE_CONNECTIONS is "
            f"{connections}, but Postgres accepts at most {free} connections from all servers together: "
            "increase its max_connections, or reduce the setting."
        )
    if lasting:
        for name, value in zip(
            ("fsync", "full_page_writes", "synchronous_commit"), durable, strict=True
        ):
            if _text(value) == "off":
                faults.append(
                    f"Postgres has {name} off and may lose confirmed data: turn it on, or set "
                    "WAYSTATION_UNSAFE_DATABASE=true if data loss is acceptable, as in tests."
                )
    return faults


def _any_connection(url: str) -> psycopg.Connection:
    """With the settings of the work, or without any, where a pooler refuses them."""
    try:
        return _connection(url, HOT_SESSION)
    except psycopg.OperationalError:
        plain = _connection(url, {})
        if _is_pooled(plain):
            return plain
        # Postgres was away, and is back now: it is asked again.
        plain.close()
        raise


def _connection(url: str, settings: Mapping[str, str]) -> psycopg.Connection:
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        options=options_of(settings),
        # Where connections are shared, one may have prepared a statement of the same name.
        prepare_threshold=None,
    )


def _fault_between(url: str, known: psycopg.Connection) -> str | None:
    """What is done to connections that the engine cannot work with; None if nothing is. `known` is one of them."""
    if not _is_pooled(known):
        return _dropped(_lost(known, HOT_SESSION))
    try:
        with (
            _connection(url, HOT_SESSION) as work,
            _connection(url, QUESTION_SESSION) as questions,
        ):
            lost = _lost(work, HOT_SESSION) | _lost(questions, QUESTION_SESSION)
            if not lost and _share(work, questions):
                return (
                    "gives each transaction another connection, as `pool_mode = transaction` does, where "
                    "prepared statements are lost"
                )
            return _dropped(lost)
    except psycopg.OperationalError:
        # Postgres is still there.
        _process(known)
        return "refuses settings of connections"


def _dropped(settings: set[str]) -> str | None:
    return f"drops settings of connections ({', '.join(sorted(settings))})" if settings else None


def _lost(connection: psycopg.Connection, settings: Mapping[str, str]) -> set[str]:
    parameters = [list(settings), list(settings.values())]
    return {_text(name) for (name,) in connection.execute(_LOST_SETTINGS, parameters)}


def _is_pooled(connection: psycopg.Connection) -> bool:
    # A pooler gives each of its clients an id of its own making.
    return connection.info.backend_pid != _process(connection)


def _share(one: psycopg.Connection, other: psycopg.Connection) -> bool:
    """Whether two connections take turns on processes of Postgres. Where nobody else uses the pooler they meet on the
    same one, elsewhere each has several."""
    ones: set[int] = set()
    others: set[int] = set()
    for _ in range(_LOOKS):
        ones.add(_process(one))
        others.add(_process(other))
    return bool(ones & others) or len(ones) > 1 or len(others) > 1


def _process(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None, "a query without FROM has a row"
    return int(row[0])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


async def require_fit(url: str, *, connections: int = 0, lasting: bool = False) -> None:
    """Raises UnfitDatabase with all faults, psycopg's errors if Postgres cannot be asked. `connections` is
    how many one server opens; `lasting`: confirmed writes must survive the death of the machine."""
    faults = await asyncio.to_thread(_faults, url, connections, lasting=lasting)
    if faults:
        raise UnfitDatabase(faults)


async def database_faults(url: str, *, connections: int, lasting: bool) -> list[str]:
    """The faults of a database, each with what to do. None if it cannot be asked now, or its address is not
    known."""
    if not url:
        return []
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The message may have the password in it.
        return [
            "WAYSTATION_DATABASE_URL is not valid; write it like postgresql://user:password@host:5432/db."
        ]
    try:
        return await asyncio.to_thread(_faults, url, connections, lasting=lasting)
    except psycopg.Error:
        return await tls_faults(url)
