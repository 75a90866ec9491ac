"""The exit codes that tell more than done or failed, for scripts: of `run` and `wait`, how a workflow
stands; of `diff` and `replay`, whether anything differs."""

from __future__ import annotations

from waystation.v1.status_pb2 import WORKFLOW_STATUS_COMPLETED
from waystation.v1.workflow_pb2 import (
    WAIT_OUTCOME_DONE,
    WAIT_OUTCOME_IDLE,
    WAIT_OUTCOME_WAITING_FOR_INPUT,
)
from waystation.v1.workflow_service_pb2 import WaitWorkflowResponse

DIFFERS = 1
"""As of `diff`; a call that failed says so on standard error."""

COMPLETED = 0
WAITING_FOR_INPUT = 3
IDLE = 4
FAILED_OR_CANCELLED = 5
TIMED_OUT = 6


def exit_code(response: WaitWorkflowResponse) -> int:
    """The exit code that tells how the wait ended."""
    if response.outcome == WAIT_OUTCOME_DONE:
        ended_well = response.context.status == WORKFLOW_STATUS_COMPLETED
        return COMPLETED if ended_well else FAILED_OR_CANCELLED
    if response.outcome == WAIT_OUTCOME_WAITING_FOR_INPUT:
        return WAITING_FOR_INPUT
    if response.outcome == WAIT_OUTCOME_IDLE:
        return IDLE
    return TIMED_OUT
