"""The handler service: which task handles which event. This table is the workflow."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from chat_model import ASKING_SECONDS
from insurance_claim.checks import JOINED
from insurance_claim.claim_processor import claim_processor_with
from insurance_claim.claim_validator import claim_validator
from insurance_claim.fraud_detection import fraud_detection
from insurance_claim.parallel_processor import CHECKS, parallel_processor
from insurance_claim.reader import Reader, RuleReader
from insurance_claim.risk_assessment import risk_assessment
from insurance_claim.user_input_required import user_input_required
from insurance_claim.vehicle_inspection import vehicle_inspection
from insurance_claim.workflow_completion import NEEDED, workflow_completion
from waystation_worker import HandlerService, TaskContext

SERVICE_NAME = "insurance-claims"
WORKFLOW_TYPE = "insurance_claim"


class Row(NamedTuple):
    """A task with what it handles and may raise. `timeout` in seconds."""

    task: Callable[[TaskContext], Awaitable[None] | None]
    events: list[str]
    may_emit: list[str]
    timeout: float = 30.0


def tasks(reader: Reader) -> tuple[Row, ...]:
    """Gives all tasks; letters are read by this reader."""
    reading = claim_processor_with(reader)
    return (
        Row(reading, ["workflow.started"], ["claim.processed"], timeout=ASKING_SECONDS),
        Row(claim_validator, ["claim.processed"], ["validation.completed", "validation.failed"]),
        Row(parallel_processor, ["claim.processed"], [*CHECKS.values(), JOINED]),
        Row(risk_assessment, ["risk.assessment.requested"], [JOINED]),
        Row(fraud_detection, ["fraud.detection.requested"], [JOINED]),
        Row(vehicle_inspection, ["vehicle.inspection.requested"], [JOINED]),
        Row(user_input_required, ["validation.failed", "user.input.provided"], ["claim.processed"]),
        Row(workflow_completion, list(NEEDED), []),
    )


def build_service(reader: Reader | None = None) -> HandlerService:
    """Gives the service with all eight tasks, not yet running; letters are read by rules unless
    another reader is given."""
    service = HandlerService(SERVICE_NAME, version="1.0.0")
    for row in tasks(reader or RuleReader()):
        service.task(
            row.task.__name__,
            events=row.events,
            workflow_types=[WORKFLOW_TYPE],
            may_emit=row.may_emit,
            timeout=row.timeout,
        )(row.task)
    return service
