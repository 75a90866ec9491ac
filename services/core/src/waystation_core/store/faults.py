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

_AGAIN = "Try the same request again in a moment."
_UNREACHABLE = "The database can't be reached or is busy"
_UNKNOWN = "The database can't do its work now (SQLSTATE {}); its log tells more"

_HINTS = {
    "25006": "The database is read-only: it may be a standby after a failover, or out of disk",
    "26000": "The database has forgotten the session's prepared statements",
    "42501": "The database refuses Waystation's role a privilege; an operator has to grant it",
    "53100": "The database's disk is full; an operator has to make room",
    "53300": "The database has no connection left",
    "42": "The database's tables are not those of this release; an operator has to compare what "
    "changed them with `waystation migrate`",
    "3F": "The database's tables are not where this release looks for them; an operator has to "
    "look at the schema and the role's search path",
    "0A": "The database's tables have changed under the server",
    "58": "The database reports a fault of its system; its log tells more",
    "XX": "The database reports a fault of its own; its log tells more",
}


def told(error: Exception) -> StoreUnavailable | WriteRefused:
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
