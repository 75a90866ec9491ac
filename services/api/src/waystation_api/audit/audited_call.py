"""The audited call that is being answered."""

from __future__ import annotations

from contextvars import ContextVar

from waystation_core.ports.store import AuditedCall

_call: ContextVar[AuditedCall | None] = ContextVar("audited_call", default=None)


def audited_call() -> AuditedCall | None:
    """The call whose entry is to be stored with what it changes; None: what this task does is not a call, or
    is not audited."""
    return _call.get()


def set_audited_call(call: AuditedCall | None) -> None:
    """Says so, for this task and those that it starts."""
    _call.set(call)
