"""`claim.processed`: sends the claim through its checks, all at the same time."""

from insurance_claim.checks import start_checks
from waystation_worker import NewEvent, TaskContext

# Each check by the event that asks for it.
CHECKS = {
    "risk_assessment": "risk.assessment.requested",
    "fraud_detection": "fraud.detection.requested",
    "vehicle_inspection": "vehicle.inspection.requested",
}
CAR_ONLY = frozenset({"vehicle_inspection"})


async def parallel_processor(ctx: TaskContext) -> None:
    """Asks for all checks at once.

    Once: as soon as the type and the amount are known, even while a person is still
    asked for the rest. Until then it leaves the claim to the `claim.processed` of the answer.
    """
    if "parallel_tasks" in ctx.data:
        return
    claim = ctx.data["claim"]
    claim_type = claim["claim_type"]
    if claim_type is None or claim["amount"] is None:
        return
    start_checks(
        ctx,
        {
            name: NewEvent(requested, {"claim_type": claim_type})
            for name, requested in CHECKS.items()
            if claim_type == "car" or name not in CAR_ONLY
        },
    )
