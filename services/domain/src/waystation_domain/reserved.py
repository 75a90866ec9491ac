"""Reserved names. Refusing them later would break users, allowing them later does not. Reserved members of
data are in `pointers`, keys of metadata in `limits`."""

from __future__ import annotations

from waystation_domain import limits
from waystation_domain.errors import InvalidId, shown
from waystation_domain.model import CLIENT, SYSTEM

PREFIX = "waystation."
"""For workflow types, task ids, services, waits and event types."""

EVENTS = ("workflow.", "user.input.", PREFIX)
"""Prefixes of the system's event types."""

_ACTORS = frozenset({CLIENT, SYSTEM})
"""Who else raises and handles events: in history a task of that name would look like them."""


def check_name(value: str, field: str) -> str:
    """Returns the name of a workflow type, a service or a wait; InvalidId as `limits.check_id`, and for a
    reserved name."""
    return _not_reserved(limits.check_id(value, field), field)


def check_new_task_id(value: str, field: str) -> str:
    """Returns the id of a task that registers; InvalidId as `limits.check_task_id`, and for a reserved one."""
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
