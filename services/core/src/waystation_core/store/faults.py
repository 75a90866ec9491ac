"""What an error of the driver proves: that what was to be written can't be, or that the database
can't serve now.

Only the first is the fault of whoever made the data. Everything else is an outage, also what nobody
has thought of: a result kept and written later is safe, a result blamed for somebody else's fault is
lost.
"""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from waystation_core.ports.store import WriteRefused
from waystation_domain.errors import StoreUnavailable

DRIVER_ERRORS = (psycopg.Error, PoolTimeout, PoolClosed)
"""Everything that the driver and its pool raise."""

_DATA = ("22", "23")
"""Classes of SQLSTATE: a value that can't be held, a constraint that is violated."""

_TOO_LARGE = frozenset({"54000", "54001"})
"""A value beyond what the server can represent, or nested deeper than its stack goes."""

_BUSY = ("08", "40", "53", "55", "57")
"""Classes that pass by themselves, on the same connection where there is one still."""

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
    """The engine's error for one of the driver's; raise it from that one.

    StoreUnavailable carries `sqlstate` where Postgres gave one, and says what is known.
    """
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
    """Whether another connection may fare better: one to the new primary after a failover, one that
    has prepared its statements against the tables as they are now."""
    state = error.sqlstate
    return not _is_of_the_data(error, state) and (state is None or state[:2] not in _BUSY)


def _is_of_the_data(error: Exception, state: str | None) -> bool:
    if state is None:
        # Refused before it was sent: a text with NUL, a number out of range.
        return isinstance(error, psycopg.DataError)
    return state[:2] in _DATA or state in _TOO_LARGE
