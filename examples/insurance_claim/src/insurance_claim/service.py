"""The handler service: which task handles which event. This table is the workflow."""

from collections.abc import Awaitable, Callable

from insurance_claim.claim_processor import claim_processor
from insurance_claim.claim_validator import claim_validator
from insurance_claim.fraud_detection import fraud_detection
from insurance_claim.parallel_processor import CHECKS, parallel_processor
from insurance_claim.risk_assessment import risk_assessment
from insurance_claim.user_input_required import user_input_required
from insurance_claim.vehicle_inspection import vehicle_inspection
from insurance_claim.workflow_completion import NEEDED, workflow_completion
from waystation_worker import HandlerService, TaskContext

SERVICE_NAME = "insurance-claims"
WORKFLOW_TYPE = "insurance_claim"

# task, the events it handles, the events it may raise
TASKS: tuple[tuple[Callable[[TaskContext], Awaitable[None] | None], list[str], list[str]], ...] = (
    (claim_processor, ["workflow.started"], ["claim.processed"]),
    (claim_validator, ["claim.processed"], ["validation.completed", "validation.failed"]),
    (parallel_processor, ["claim.processed"], list(CHECKS.values())),
    (risk_assessment, ["risk.assessment.requested"], ["parallel.processing.completed"]),
    (fraud_detection, ["fraud.detection.requested"], ["parallel.processing.completed"]),
    (vehicle_inspection, ["vehicle.inspection.requested"], ["parallel.processing.completed"]),
    (user_input_required, ["validation.failed", "user.input.provided"], ["claim.processed"]),
    (workflow_completion, list(NEEDED), []),
)


def build_service() -> HandlerService:
    """Gives the service with all eight tasks, not yet running."""
    service = HandlerService(SERVICE_NAME, version="1.0.0")
    for task, events, may_emit in TASKS:
        service.task(
            task.__name__, events=events, workflow_types=[WORKFLOW_TYPE], may_emit=may_emit
        )(task)
    return service
