"""The results of a replay as messages: cut, so that a step has a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence

from waystation.v1 import replay_pb2, workflow_service_pb2
from waystation_api.pages import MAX_PAGE_BYTES
from waystation_conversion import error_to_proto
from waystation_conversion.sizes import json_size
from waystation_conversion.structs import to_value
from waystation_domain import limits
from waystation_domain.differences import ABSENT, Difference
from waystation_domain.model import Result
from waystation_domain.replays import Comparison, EventDifference, Recorded

_pb = workflow_service_pb2

MAX_DIFFERENCES = 200
"""Differences of each kind in one step."""


def begin(recorded: Recorded) -> replay_pb2.ReplayStep:
    """A step with what is recorded."""
    entry = recorded.entry
    step = replay_pb2.ReplayStep(
        sequence=entry.sequence,
        task_id=entry.processed_by,
        event_id=entry.event_id or "",
        event_type=entry.event_type,
        attempt=entry.attempt,
        recorded_event_types=[event.event_type for event in recorded.raised],
        recorded_service_version=entry.service_version or "",
    )
    if entry.result is Result.FAILED and entry.error is not None:
        error_to_proto(entry.error, step.recorded_error)
    return step


def skip(step: replay_pb2.ReplayStep, reason: replay_pb2.ReplaySkipReason, message: str) -> None:
    """Sets why nothing is compared."""
    step.outcome = replay_pb2.REPLAY_OUTCOME_SKIPPED
    step.skip_reason = reason
    step.skip_message = limits.cut(message)


def fill_step(step: replay_pb2.ReplayStep, comparison: Comparison) -> None:
    """Adds the differences."""
    step.replayed_event_types.extend(comparison.event_types)
    if comparison.same:
        step.outcome = replay_pb2.REPLAY_OUTCOME_SAME
    elif comparison.error is not None:
        step.outcome = replay_pb2.REPLAY_OUTCOME_FAILED
    else:
        step.outcome = replay_pb2.REPLAY_OUTCOME_DIFFERS
    step.differs = not comparison.same
    if comparison.error is not None:
        error_to_proto(comparison.error.to_json(json_size), step.error)
    room = _Room(step)
    room.add(comparison.data, step.differences)
    room.add(comparison.instance, step.instance_differences)
    for at, event in enumerate(comparison.events):
        if at < MAX_DIFFERENCES:
            room.add_event(event)
        else:
            step.differences_left_out += len(event.differences)


class _Room:
    """The room left in a step; what has no room is counted."""

    def __init__(self, step: replay_pb2.ReplayStep) -> None:
        self._step = step
        self._bytes = MAX_PAGE_BYTES

    def add(
        self, differences: Iterable[Difference], into: MutableSequence[replay_pb2.ReplayDifference]
    ) -> None:
        for difference in differences:
            message = _of(difference)
            size = message.ByteSize()
            # The first one is always added, however large.
            if len(into) >= MAX_DIFFERENCES or (size > self._bytes and self._told):
                self._step.differences_left_out += 1
                continue
            self._bytes -= size
            into.append(message)

    def add_event(self, event: EventDifference) -> None:
        message = self._step.event_differences.add(event_type=event.event_type)
        if event.recorded_index is not None:
            message.recorded_index = event.recorded_index
        if event.replayed_index is not None:
            message.replayed_index = event.replayed_index
        self.add(event.differences, message.differences)

    @property
    def _told(self) -> bool:
        return self._bytes < MAX_PAGE_BYTES


def _of(difference: Difference) -> replay_pb2.ReplayDifference:
    message = replay_pb2.ReplayDifference(path=difference.path)
    if difference.before is not ABSENT:
        to_value(difference.before, message.recorded)
    if difference.after is not ABSENT:
        to_value(difference.after, message.replayed)
    return message
