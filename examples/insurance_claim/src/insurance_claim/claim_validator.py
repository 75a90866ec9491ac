"""`claim.processed`: is the claim complete, and can it be true?"""

from datetime import date, timedelta

from insurance_claim.claim import Claim
from insurance_claim.vocabulary import POLICY_PREFIXES
from waystation_worker import TaskContext

ABSURD_EUROS = 5_000_000
LATEST = timedelta(days=3 * 365)


async def claim_validator(ctx: TaskContext) -> None:
    """Raises `validation.completed`, or `validation.failed` with the missing facts.

    Fails the workflow where no answer could mend the claim. Runs again for each answer of a person,
    because an answer raises `claim.processed` again.
    """
    claim = Claim.from_data(ctx.data["claim"])
    if problem := find_problem(claim, date.fromisoformat(ctx.data["received_on"])):
        reason, message = problem
        ctx.data["validation"] = {"state": "invalid", "reason": reason}
        ctx.fail(reason, message)
    elif missing := claim.missing():
        ctx.data["validation"] = {"state": "incomplete", "missing": missing}
        ctx.emit("validation.failed", {"missing": missing})
    else:
        ctx.data["validation"] = {"state": "passed"}
        ctx.emit("validation.completed")


def find_problem(claim: Claim, received_on: date) -> tuple[str, str] | None:
    """Gives the reason and the words for refusing a claim whatever else is learned of it."""
    if claim.amount is not None:
        if claim.amount <= 0:
            return "AMOUNT_NOT_POSITIVE", f"the claimed amount is {claim.amount:,.2f}"
        if claim.money.in_euros > ABSURD_EUROS:
            return (
                "AMOUNT_ABSURD",
                f"{claim.amount:,.2f} {claim.currency} is more than any policy could cover",
            )
    if claim.incident_date is not None:
        incident = date.fromisoformat(claim.incident_date)
        if incident > received_on:
            return "DATE_IN_FUTURE", f"the incident of {incident} was reported on {received_on}"
        if received_on - incident > LATEST:
            return "REPORTED_TOO_LATE", f"the incident of {incident} is more than three years old"
    if claim.policy_number is not None and claim.claim_type is not None:
        covered = POLICY_PREFIXES[claim.policy_number[:3]]
        if covered != claim.claim_type:
            return (
                "POLICY_MISMATCH",
                f"{claim.policy_number} covers {covered}, the claim is about {claim.claim_type}",
            )
    return None
