"""Dead letters as messages of the contract."""

from __future__ import annotations

from waystation.v1 import dead_letter_pb2
from waystation_conversion.events import event_to_proto
from waystation_conversion.history import error_to_proto
from waystation_conversion.times import set_timestamp
from waystation_domain.stored import DeadLetterFact


def dead_letter_to_proto(dead_letter: DeadLetterFact) -> dead_letter_pb2.DeadLetter:
    """A dead letter with its event."""
    message = dead_letter_pb2.DeadLetter()
    message.dead_letter_id = dead_letter.dead_letter_id
    event_to_proto(dead_letter.event, dead_letter.workflow_instance_id, into=message.event)
    message.task_id = dead_letter.task_id
    message.workflow_instance_id = dead_letter.workflow_instance_id
    message.workflow_type = dead_letter.workflow_type
    message.attempts = dead_letter.attempts
    error_to_proto(dead_letter.error, message.error)
    message.on_failure = int(dead_letter.on_failure)  # type: ignore[assignment]
    message.state = int(dead_letter.state)  # type: ignore[assignment]
    set_timestamp(message.created_at, dead_letter.created_at)
    if dead_letter.resolved_at is not None:
        set_timestamp(message.resolved_at, dead_letter.resolved_at)
    message.retryable = dead_letter.retryable
    return message
