"""`validation.failed` and `user.input.provided`: asks a person, and takes the answer."""

from datetime import date
from typing import Any

from insurance_claim.claim import Claim
from insurance_claim.extractor import read_answer
from insurance_claim.vocabulary import CLAIM_TYPES
from waystation_worker import TaskContext

_QUESTIONS = {
    "claim_type": "what the claim is about (car, home, travel or health)",
    "amount": "how much is claimed, in which currency",
    "incident_date": "on which day it happened",
    "policy_number": "the policy number, for example CAR-123456",
}
_FIELDS: dict[str, dict[str, Any]] = {
    "claim_type": {"type": "string", "enum": list(CLAIM_TYPES)},
    "amount": {"type": ["number", "string"]},
    "incident_date": {"type": "string", "format": "date"},
    "policy_number": {"type": "string", "pattern": "^(CAR|HOM|TRV|HLT)-[0-9]{6}$"},
}


async def user_input_required(ctx: TaskContext) -> None:
    """Opens a wait for the missing facts; with an answer, fills them in and has it validated again.

    An answer may leave facts open, or be no answer at all: then the next validation fails, and the
    person is asked again. It is kept beside the claim, which it can't overwrite.
    """
    if ctx.event.event_type == "validation.failed":
        missing = ctx.event.payload["missing"]
        ctx.wait_for_input(question(missing), schema=form(missing), answer_path="/answer")
        return
    claim = Claim.from_data(ctx.data["claim"])
    received_on = date.fromisoformat(ctx.data["received_on"])
    answer = ctx.event.payload["input"]
    claim = claim.completed_by(read_answer(answer, received_on, claim.language))
    ctx.data["claim"] = claim.to_data()
    ctx.emit("claim.processed", {"language": claim.language, "missing": claim.missing()})


def question(missing: list[str]) -> str:
    """Says in a sentence what a person is asked for."""
    return f"Please tell us {'; '.join(_QUESTIONS[fact] for fact in missing)}."


def form(missing: list[str]) -> dict[str, Any]:
    """Gives the JSON Schema of an answer: the facts as fields, or plain words under `answer`."""
    return {
        "type": "object",
        "properties": {
            **{fact: _FIELDS[fact] for fact in missing},
            "answer": {"type": "string"},
        },
    }
