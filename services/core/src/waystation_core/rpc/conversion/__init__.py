"""Between the contract's messages and the domain's nouns: one place, both directions.

`times` has timestamps and durations, `nouns` what goes out (events, contexts, history, dead
letters), `requests` what clients and tasks ask for, `replies` what tasks answer, `tasks` the specs
of registered tasks, `unforeseen` the last resort of all of them. What comes in is checked against the limits here, and nowhere later.
"""

from __future__ import annotations

from waystation_core.rpc.conversion.nouns import (
    add_history,
    context_to_proto,
    dead_letter_to_proto,
    entry_to_proto,
    error_to_proto,
    event_to_proto,
)
from waystation_core.rpc.conversion.replies import (
    failure_from_proto,
    reply_from_proto,
    result_from_proto,
)
from waystation_core.rpc.conversion.requests import new_event_from_proto, payload_from_proto
from waystation_core.rpc.conversion.tasks import task_spec_from_proto, task_spec_to_proto
from waystation_core.rpc.conversion.times import (
    seconds_from_proto,
    set_duration,
    set_timestamp,
    timestamp_from_proto,
)
from waystation_core.rpc.conversion.unforeseen import refuses_unforeseen

__all__ = [
    "add_history",
    "context_to_proto",
    "dead_letter_to_proto",
    "entry_to_proto",
    "error_to_proto",
    "event_to_proto",
    "failure_from_proto",
    "new_event_from_proto",
    "payload_from_proto",
    "refuses_unforeseen",
    "reply_from_proto",
    "result_from_proto",
    "seconds_from_proto",
    "set_duration",
    "set_timestamp",
    "task_spec_from_proto",
    "task_spec_to_proto",
    "timestamp_from_proto",
]
