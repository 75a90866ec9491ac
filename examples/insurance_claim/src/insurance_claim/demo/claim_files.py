"""The claims as files: what is sent in, what a person answers, and how it should end."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Beside the source of the example; an installed copy names them with --claims.
DEFAULT_FOLDER = Path(__file__).parents[3] / "claims"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claim ended, or should. `outcome` is the decision, or the reason of a failure."""

    status: str
    outcome: str
    waits: int
    dead_letters: int
    payout: float | None = None


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """One claim with its answers, in the order of the questions, and its ending."""

    name: str
    why: str
    claim: dict[str, Any]
    answers: list[dict[str, Any]]
    expected: Ending
    rescue_payload: dict[str, Any] | None


def read_claims(folder: Path) -> list[ClaimFile]:
    """Gives all claims of a folder by name.

    Raises:
        FileNotFoundError: there are none.
    """
    claims = [_read(path) for path in sorted(folder.glob("*.json"))]
    if not claims:
        raise FileNotFoundError(f"no claims in {folder}; name the folder with --claims")
    return claims


def joined(claims: list[ClaimFile], join: str) -> list[ClaimFile]:
    """Gives the same claims with their checks joined this way: `naive`, `structured` or `both`."""
    if join == "both":
        structured = joined(claims, "structured")
        renamed = [replace(claim, name=f"{claim.name}.structured") for claim in structured]
        return [*joined(claims, "naive"), *renamed]
    return [replace(claim, claim={**claim.claim, "join": join}) for claim in claims]


def _read(path: Path) -> ClaimFile:
    content = json.loads(path.read_text(encoding="utf-8"))
    rescue = content.get("rescue")
    return ClaimFile(
        name=path.stem,
        why=content["why"],
        claim=content["claim"],
        answers=content["answers"],
        expected=Ending(**content["expected"]),
        rescue_payload=rescue["payload"] if rescue else None,
    )
