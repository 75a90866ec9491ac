"""Between the contract's messages and the domain's nouns: one place, both directions.

`times` has timestamps and durations, `nouns` what goes out (events, contexts, history, dead
letters), `requests` what clients and tasks ask for, `replies` what tasks answer, `tasks` the specs
of registered tasks, `statuses` what a gRPC status says of an attempt, `structs` and `sizes` JSON,
`unforeseen` the last resort of all of them. What comes in is checked against the limits here, and
nowhere later. Both the servers and the SDK's test kit stand on it, so it must import nothing but the
domain, the contract, protobuf, gRPC's codes and orjson.
"""

from __future__ import annotations

from waystation_conversion.nouns import (
    add_history,
    context_to_proto,
    dead_letter_to_proto,
    entry_to_proto,
    error_to_proto,
    event_to_proto,
)
from waystation_conversion.replies import (
    failure_from_proto,
    reply_from_proto,
    result_from_proto,
)
from waystation_conversion.requests import new_event_from_proto, payload_from_proto
from waystation_conversion.tasks import task_spec_from_proto, task_spec_to_proto
from waystation_conversion.times import (
    seconds_from_proto,
    set_duration,
    set_timestamp,
    timestamp_from_proto,
)
from waystation_conversion.unforeseen import refuses_unforeseen

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
