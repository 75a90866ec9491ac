"""What an error of the driver proves: that the written data is invalid, or that the database cannot work now.

Only the first is the fault of the data. Everything else is an outage, also unknown errors: a result that is
kept and written later is safe, a result that is blamed for another fault is lost.
"""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from waystation_core.ports.store import WriteRefused
from waystation_domain.errors import StoreUnavailable

DRIVER_ERRORS = (psycopg.Error, PoolTimeout, PoolClosed)
"""Everything that the driver and its pool raise."""

_DATA = ("22", "23")
"""Classes of SQLSTATE for invalid data: a value that cannot be stored, a violated constraint."""

_TOO_LARGE = frozenset({"54000", "54001"})
"""A value beyond what the server can represent, or too deeply nested for its stack."""

_BUSY = ("08", "40", "53", "55", "57")
"""Classes that are temporary, also on the same connection if it is still open."""

_AGAIN = "Retry the request in a moment."
_UNREACHABLE = "The database cannot be reached or is busy"
_UNKNOWN = "The database failed (SQLSTATE {}); see its log"

_HINTS = {
    "25006": "The database is read-only: it may be a standby after a failover, or out of disk",
    "26000": "The database has lost the session's prepared statements",
    "42501": "Waystation's database role lacks a privilege; an operator must grant it",
    "53100": "The database's disk is full; an operator must free space",
    "53300": "The database has no free connection",
    "42": "The database's tables do not match this release; an operator must check the schema and "
    "run `waystation migrate`",
    "3F": "The database's tables were not found; an operator must "
    "check the schema and the role's search path",
    "0A": "The database's tables were changed while the server was running",
    "58": "The database reports a system error; see its log",
    "XX": "The database reports an internal error; see its log",
}


def translated(error: Exception) -> StoreUnavailable | WriteRefused:
    """The engine's error for an error of the driver; raise it from that one. StoreUnavailable carries
    `sqlstate` if Postgres gave one."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if _is_of_the_data(error, state):
        return WriteRefused(type(error).__name__)
    if state is None:
        return StoreUnavailable(f"{_UNREACHABLE}. {_AGAIN}")
    hint = _HINTS.get(state) or _HINTS.get(state[:2])
    if hint is None:
        hint = _UNREACHABLE if state[:2] in _BUSY else _UNKNOWN.format(state)
    return StoreUnavailable(f"{hint}. {_AGAIN}", sqlstate=state)


def spoils_connection(error: psycopg.Error) -> bool:
    """Whether another connection may succeed: one to the new primary after a failover, or one that prepares
    its statements for the current tables."""
    state = error.sqlstate
    return not _is_of_the_data(error, state) and (state is None or state[:2] not in _BUSY)


def _is_of_the_data(error: Exception, state: str | None) -> bool:
    if state is None:
        # Rejected before it was sent: a text with NUL, a number out of range.
        return isinstance(error, psycopg.DataError)
    return state[:2] in _DATA or state in _TOO_LARGE
