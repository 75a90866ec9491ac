"""All failpoints, derived from the ports: each awaited method has two, named after it, `.before` and
`.after` its effect, so that a new method has failpoints too."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType

from waystation_core.ports.store import EngineStore, RegistryStore

_SENTENCE = re.compile(r"(?<=\.) ")


def _methods_of(port: type) -> Mapping[str, str]:
    """The effect of each method, from the first sentence of its docstring."""
    return {
        name: _SENTENCE.split(" ".join((inspect.getdoc(method) or f"{name}.").split()))[0]
        for name, method in inspect.getmembers(port, inspect.iscoroutinefunction)
    }


ENGINE_STORE = {
    **_methods_of(EngineStore),
    "locked": "One instance is locked; after: the lock is held, and everything read.",
}
REGISTRY_STORE = _methods_of(RegistryStore)

_OTHERS = {
    "locked.write": "Under the lock, what was decided is written; it is not committed yet.",
    "locked.exit": "The transaction under the lock ends; after: it is committed, but no answer was sent.",
    "announce": "A batch of events is announced; after: the broker has answered.",
    "take": "Messages are taken from the queue; after: in hand, and nothing done with them.",
    "ack": "Messages are acknowledged.",
    "reply": "A client is answered; before: its request was carried out.",
}
_CALLS = {
    "call.sent": "A task is in call.",
    "call.answered": "Its answer is there, and nothing was done with it.",
}

POINTS: Mapping[str, str] = MappingProxyType(
    {
        f"{name}.{side}": meaning
        for name, meaning in {**ENGINE_STORE, **REGISTRY_STORE, **_OTHERS}.items()
        for side in ("before", "after")
    }
    | _CALLS
)
"""Every point and what it means."""

NO_ERRORS = frozenset({*_CALLS, "reply.after"})
"""Points without errors, as nobody would notice: failed calls are the handlers' part, and a reply that was
sent is gone."""
