"""What is known of a claim: the facts that every task reads, as they stand in `data.claim`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from insurance_claim.amounts import Money

# Without these nobody can decide a claim; in the order in which a person is asked for them.
REQUIRED_FACTS = ("claim_type", "amount", "incident_date", "policy_number")


@dataclass(frozen=True, slots=True)
class Claim:
    """The facts read so far; None where the text did not tell, or told two different things."""

    claim_type: str | None = None
    amount: float | None = None
    currency: str | None = None
    incident_date: str | None = None
    policy_number: str | None = None
    language: str = "en"
    injured: bool = False
    damage: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Claim":
        """Reads `data.claim`."""
        return cls(
            claim_type=data["claim_type"],
            amount=data["amount"],
            currency=data["currency"],
            incident_date=data["incident_date"],
            policy_number=data["policy_number"],
            language=data["language"],
            injured=data["injured"],
            damage=tuple(data["damage"]),
            suspicions=tuple(data["suspicions"]),
        )

    def to_data(self) -> dict[str, Any]:
        """Gives what to store as `data.claim`."""
        return {
            **asdict(self),
            "damage": list(self.damage),
            "suspicions": list(self.suspicions),
        }

    def missing(self) -> list[str]:
        """Names the required facts that are not known."""
        return [fact for fact in REQUIRED_FACTS if getattr(self, fact) is None]

    @property
    def money(self) -> Money:
        """The claimed sum; only for a claim whose amount is known."""
        if self.amount is None or self.currency is None:
            raise ValueError("the amount of this claim is not known yet")
        return Money(self.amount, self.currency)

    def completed_by(self, other: "Claim") -> "Claim":
        """Takes from `other` the required facts that are missing here, and nothing else."""
        filled: dict[str, Any] = {fact: getattr(other, fact) for fact in self.missing()}
        if "amount" in filled:
            filled["currency"] = other.currency
        return replace(self, **filled)
