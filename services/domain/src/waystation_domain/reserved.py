"""Names that nobody may take, so that what comes later can: refusing them then would be a break,
allowing them is none. The members of data are in `pointers`, keys of metadata in `limits`."""

from __future__ import annotations

from waystation_domain import limits
from waystation_domain.errors import InvalidId, shown
from waystation_domain.model import CLIENT, SYSTEM

PREFIX = "waystation."
"""Of workflow types, task ids, services and waits, and of event types."""

EVENTS = ("workflow.", "user.input.", PREFIX)
"""How the event types begin that are the system's."""

_ACTORS = frozenset({CLIENT, SYSTEM})
"""Who else raises and handles events: a task of that name would speak for them in history."""


def check_name(value: str, field: str) -> str:
    """The name of a workflow type, a service or a wait as it came; InvalidId as `limits.check_id`, and
    for a reserved one."""
    return _not_reserved(limits.check_id(value, field), field)


def check_new_task_id(value: str, field: str) -> str:
    """The id of a task that registers; InvalidId as `limits.check_task_id`, and for a reserved one."""
    limits.check_task_id(value, field)
    if value in _ACTORS:
        raise InvalidId(
            f'{field} "{value}" is reserved. Choose another id.',
            field=field,
            value=value,
        )
    return _not_reserved(value, field)


def _not_reserved(value: str, field: str) -> str:
    if value.startswith(PREFIX):
        raise InvalidId(
            f'{field} "{shown(value)}" begins with "{PREFIX}", which is reserved. Choose another name.',
            field=field,
            value=shown(value),
        )
    return value
