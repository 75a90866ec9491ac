"""Converts the contract's messages to the domain's values and back.

`workflows`, `events`, `history` and `dead_letters` make messages; `requests` reads what clients and
tasks ask for, `replies` what tasks answer; `tasks` goes both ways. `times`, `structs` and `sizes` are
their parts, `statuses` says what a gRPC status means for an attempt, and `unexpected` turns every other
failure to read a message into a typed error. Input is checked against the limits here, and nowhere
later. Servers and the SDK's test kit use it, so it imports only the domain, the contract, protobuf,
gRPC's codes and orjson.
"""

from __future__ import annotations

from waystation_conversion.dead_letters import dead_letter_to_proto
from waystation_conversion.events import event_to_proto
from waystation_conversion.history import add_history, entry_to_proto, error_to_proto
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
from waystation_conversion.unexpected import refuses_unexpected
from waystation_conversion.workflows import context_to_proto

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
    "refuses_unexpected",
    "reply_from_proto",
    "result_from_proto",
    "seconds_from_proto",
    "set_duration",
    "set_timestamp",
    "task_spec_from_proto",
    "task_spec_to_proto",
    "timestamp_from_proto",
]
