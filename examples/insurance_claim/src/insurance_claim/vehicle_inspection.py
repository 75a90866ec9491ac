"""`vehicle.inspection.requested`, for cars only: can the damage cost that much?"""

from insurance_claim.checks import finish_check
from insurance_claim.claim import Claim
from waystation_worker import TaskContext

# The dearest repair of each part that still sounds right, in euros.
DEAREST_REPAIR_EUR = {"bumper": 2_500, "glass": 1_500, "body": 8_000, "total_loss": 60_000}


def vehicle_inspection(ctx: TaskContext) -> None:
    """Compares the sum with the parts that were damaged.

    A plain function on purpose: it runs in a thread, as code with blocking calls would.
    """
    claim = Claim.from_data(ctx.data["claim"])
    estimate = sum(DEAREST_REPAIR_EUR[part] for part in claim.damage)
    if not claim.damage:
        finding = "needs_photos"
    elif claim.money.in_euros > estimate:
        finding = "too_expensive"
    else:
        finding = "plausible"
    finish_check(ctx, "vehicle_inspection", {"finding": finding, "estimate_eur": estimate})
