"""`risk.assessment.requested`: how much is at stake?"""

from insurance_claim.checks import finish_check
from insurance_claim.claim import Claim
from insurance_claim.cover import COVER_EUR
from waystation_worker import TaskContext


async def risk_assessment(ctx: TaskContext) -> None:
    """Gives the claim a risk score from 0 to 100 and a level."""
    score = risk_score(Claim.from_data(ctx.data["claim"]))
    level = "high" if score >= 80 else "medium" if score >= 40 else "low"
    finish_check(ctx, "risk_assessment", {"score": score, "level": level})


def risk_score(claim: Claim) -> int:
    """Weighs the sum against the limit of its policy, then injuries and total losses."""
    limit = COVER_EUR[claim.claim_type or "car"]
    score = round(60 * claim.money.in_euros / limit)
    score += 30 if claim.injured else 0
    score += 20 if "total_loss" in claim.damage else 0
    return min(max(score, 0), 100)
