"""What the policies cover: limits and deductibles in euros, by type of claim."""

from insurance_claim.amounts import EUROS, Money

COVER_EUR = {"car": 30_000, "home": 50_000, "travel": 5_000, "health": 20_000}
DEDUCTIBLE_EUR = {"car": 300, "home": 250, "travel": 100, "health": 0}


def payout(claim_type: str, claimed: Money) -> float:
    """Gives what is paid in the currency of the claim: up to the limit, less the deductible."""
    euros = min(claimed.in_euros, COVER_EUR[claim_type]) - DEDUCTIBLE_EUR[claim_type]
    return round(max(euros, 0) / EUROS[claimed.currency], 2)
