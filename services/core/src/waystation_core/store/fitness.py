"""Whether a database meets the engine's needs: checked before anything is read or written, and all faults
reported at once."""

from __future__ import annotations

import asyncio

import psycopg
from psycopg.conninfo import conninfo_to_dict

from waystation_core.store.connections import HOT_SESSION, options_of
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
WHERE current_setting(name) <> value ORDER BY name
"""


class UnfitDatabase(Exception):
    """The database must be another one, or have other settings; each fault says what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


def _faults(url: str, connections: int, *, lasting: bool) -> list[str]:
    settings = HOT_SESSION
    with psycopg.connect(
        url, autocommit=True, connect_timeout=5, options=options_of(settings)
    ) as connection:
        row = connection.execute(_FACTS).fetchone()
        parameters = [list(settings), list(settings.values())]
        lost = [_text(name) for (name,) in connection.execute(_LOST_SETTINGS, parameters)]
    assert row is not None, "one is connected to a database that there is"
    major, is_utf8, encoding, free, *durable = row
    faults = []
    if major < OLDEST:
        faults.append(f"Postgres has version {major}; it must be {OLDEST} or newer.")
    if not is_utf8:
        # Text comes as bytes if the database has no encoding.
        faults.append(
            f"The database's encoding is {_text(encoding)}; it must be UTF8, to store any text. Create "
            "another database: CREATE DATABASE waystation ENCODING 'UTF8' TEMPLATE template0."
        )
    if lost:
        faults.append(
            f"What is between here and Postgres, perhaps PgBouncer, has dropped settings of the "
            f"connection ({', '.join(lost)}): let WAYSTATION_DATABASE_URL lead to Postgres itself."
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
