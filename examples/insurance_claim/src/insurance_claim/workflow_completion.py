"""`validation.completed` and `parallel.processing.completed`: decides on whichever comes second."""

from collections.abc import Mapping
from typing import Any

from insurance_claim.checks import JOINED
from insurance_claim.claim import Claim
from insurance_claim.cover import DEDUCTIBLE_EUR, payout
from waystation_worker import TaskContext

NEEDED = ("validation.completed", JOINED)


async def workflow_completion(ctx: TaskContext) -> None:
    """Notes that one half is finished; with both halves, decides and completes the workflow."""
    if "finished" not in ctx.data:
        ctx.data["finished"] = {}
    finished = ctx.data["finished"]
    finished[ctx.event.event_type] = True
    if not all(name in finished for name in NEEDED):
        return
    claim = Claim.from_data(ctx.data["claim"])
    decision, because = decide(claim, ctx.data["parallel_tasks"])
    paid = payout(claim.claim_type or "", claim.money) if decision == "APPROVED" else 0
    ctx.data["decision"] = decision
    ctx.complete(
        {
            "decision": decision,
            "because": because,
            "claim_type": claim.claim_type,
            "policy_number": claim.policy_number,
            "incident_date": claim.incident_date,
            "claimed": claim.amount,
            "payout": paid,
            "currency": claim.currency,
            "extracted_by": ctx.data["extracted_by"],
        }
    )


def decide(claim: Claim, checks: Mapping[str, Any]) -> tuple[str, str]:
    """Gives APPROVED, DECLINED or REFERRED (a person decides), and why in words."""
    if checks["fraud_detection"]["suspicious"]:
        return "REFERRED", f"signs of fraud: {', '.join(checks['fraud_detection']['signs'])}"
    if checks["risk_assessment"]["level"] == "high":
        return "REFERRED", "too much is at stake to decide it alone"
    inspection = checks.get("vehicle_inspection")
    if inspection is not None and inspection["finding"] == "too_expensive":
        return "REFERRED", "the damaged parts cost less than what is claimed"
    if claim.money.in_euros <= DEDUCTIBLE_EUR[claim.claim_type or ""]:
        return "DECLINED", "the claim does not exceed the deductible"
    return "APPROVED", "complete, covered and plausible"
