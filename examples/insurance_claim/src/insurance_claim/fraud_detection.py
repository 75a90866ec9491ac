"""`fraud.detection.requested`: does anything look wrong?"""

from insurance_claim.checks import finish_check
from insurance_claim.claim import Claim
from waystation_worker import TaskContext

SUSPICIOUS_SCORE = 60


async def fraud_detection(ctx: TaskContext) -> None:
    """Gives the claim a fraud score from 0 to 100, with the signs it was made from."""
    signs = fraud_signs(Claim.from_data(ctx.data["claim"]))
    score = min(30 * len(signs), 100)
    finish_check(
        ctx,
        "fraud_detection",
        {"score": score, "signs": signs, "suspicious": score >= SUSPICIOUS_SCORE},
    )


def fraud_signs(claim: Claim) -> list[str]:
    """Names what an adjuster would look at twice: phrases of the letter, and large round sums."""
    signs = list(claim.suspicions)
    money = claim.money
    if money.in_euros >= 4_000 and money.amount % 1_000 == 0:
        signs.append("round_amount")
    return signs
