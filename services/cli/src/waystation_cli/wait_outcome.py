"""The exit code that tells how a wait for a workflow ended; apart from the list of codes, as help needs no contract."""

from __future__ import annotations

from waystation.v1.status_pb2 import WORKFLOW_STATUS_COMPLETED
from waystation.v1.workflow_pb2 import (
    WAIT_OUTCOME_DONE,
    WAIT_OUTCOME_IDLE,
    WAIT_OUTCOME_WAITING_FOR_INPUT,
)
from waystation.v1.workflow_service_pb2 import WaitWorkflowResponse
from waystation_cli.outcome import DONE, FAILED_OR_CANCELLED, IDLE, TIMED_OUT, WAITING_FOR_INPUT


def exit_code(response: WaitWorkflowResponse) -> int:
    """The exit code that tells how the wait ended."""
    if response.outcome == WAIT_OUTCOME_DONE:
        ended_well = response.context.status == WORKFLOW_STATUS_COMPLETED
        return DONE if ended_well else FAILED_OR_CANCELLED
    if response.outcome == WAIT_OUTCOME_WAITING_FOR_INPUT:
        return WAITING_FOR_INPUT
    if response.outcome == WAIT_OUTCOME_IDLE:
        return IDLE
    return TIMED_OUT
