"""Each task on its own: what it raises, keeps, asks and refuses."""

from typing import Any

import pytest

from example_data.flow import RECEIVED, Context, Event, call
from insurance_claim.claim import Claim
from insurance_claim.claim_processor import claim_processor
from insurance_claim.claim_validator import claim_validator, find_problem
from insurance_claim.cover import payout
from insurance_claim.fraud_detection import fraud_detection
from insurance_claim.parallel_processor import parallel_processor
from insurance_claim.risk_assessment import risk_assessment
from insurance_claim.user_input_required import user_input_required
from insurance_claim.vehicle_inspection import vehicle_inspection
from insurance_claim.workflow_completion import workflow_completion
from waystation_worker import Reject

CAR = Claim(
    claim_type="car",
    amount=1200.0,
    currency="EUR",
    incident_date="2025-03-09",
    policy_number="CAR-104233",
    damage=("bumper",),
)
PROCESSED = Event("claim.processed")


def data_of(claim: Claim, **more: Any) -> dict[str, Any]:
    """Gives workflow data that holds this claim."""
    return {"received_on": "2025-03-10", "claim": claim.to_data(), **more}


def raised(context: Context) -> list[str]:
    """Names what the task raised."""
    return [event.event_type for event in context.emitted]


async def test_claim_processor_reads_the_letter_from_the_event_so_that_an_edited_one_counts() -> (
    None
):
    data: dict[str, Any] = {"text": "%PDF-1.4"}
    with pytest.raises(Reject, match="scanned"):
        await call(claim_processor, Event("workflow.started", {"text": "%PDF-1.4"}), data)
    assert data == {"text": "%PDF-1.4"}
    text = "My passenger was injured yesterday, £300, car, CAR-104233"
    context = await call(claim_processor, Event("workflow.started", {"text": text}), data)
    assert data["text"] == text
    assert data["received_on"] == RECEIVED.date().isoformat()
    assert data["claim"]["policy_number"] == "CAR-104233"
    assert raised(context) == ["claim.processed"]
    assert context.emitted[0].priority == 200


async def test_claim_validator_passes_asks_or_fails() -> None:
    data = data_of(CAR)
    assert raised(await call(claim_validator, PROCESSED, data)) == ["validation.completed"]
    assert data["validation"] == {"state": "passed"}
    open_claim = Claim(claim_type="car", amount=5.0, currency="EUR")
    context = await call(claim_validator, PROCESSED, data_of(open_claim))
    assert raised(context) == ["validation.failed"]
    assert context.emitted[0].payload == {"missing": ["incident_date", "policy_number"]}
    context = await call(claim_validator, PROCESSED, data_of(Claim(amount=-5.0, currency="EUR")))
    assert context.failed is not None
    assert context.failed[0] == "AMOUNT_NOT_POSITIVE"
    assert context.emitted == []


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (CAR, None),
        (Claim(), None),
        (Claim(amount=0.0, currency="EUR"), "AMOUNT_NOT_POSITIVE"),
        (Claim(amount=6e6, currency="EUR"), "AMOUNT_ABSURD"),
        (Claim(amount=6e6, currency="JPY"), None),
        (Claim(incident_date="2025-03-11"), "DATE_IN_FUTURE"),
        (Claim(incident_date="2021-03-11"), "REPORTED_TOO_LATE"),
        (Claim(claim_type="home", policy_number="CAR-104233"), "POLICY_MISMATCH"),
    ],
)
def test_a_claim_is_refused_only_for_what_no_answer_could_mend(
    claim: Claim, reason: str | None
) -> None:
    problem = find_problem(claim, RECEIVED.date())
    assert (problem[0] if problem else None) == reason


async def test_parallel_processor_starts_the_checks_once_and_the_inspection_for_cars_only() -> None:
    data = data_of(CAR)
    context = await call(parallel_processor, PROCESSED, data)
    assert raised(context) == [
        "risk.assessment.requested",
        "fraud.detection.requested",
        "vehicle.inspection.requested",
    ]
    assert set(data["parallel_tasks"]) == {
        "risk_assessment",
        "fraud_detection",
        "vehicle_inspection",
    }
    assert raised(await call(parallel_processor, PROCESSED, data)) == []
    home = data_of(Claim(claim_type="home", amount=5.0, currency="EUR"))
    assert len((await call(parallel_processor, PROCESSED, home)).emitted) == 2
    unknown = data_of(Claim(amount=5.0, currency="EUR"))
    assert raised(await call(parallel_processor, PROCESSED, unknown)) == []
    assert "parallel_tasks" not in unknown


async def test_only_the_last_check_raises_the_join() -> None:
    data = data_of(CAR)
    await call(parallel_processor, PROCESSED, data)
    assert raised(await call(risk_assessment, Event("risk.assessment.requested"), data)) == []
    assert raised(await call(vehicle_inspection, Event("vehicle.inspection.requested"), data)) == []
    last = await call(fraud_detection, Event("fraud.detection.requested"), data)
    assert raised(last) == ["parallel.processing.completed"]
    checks = data["parallel_tasks"]
    assert checks["risk_assessment"] == {"state": "done", "score": 2, "level": "low"}
    assert checks["vehicle_inspection"]["finding"] == "plausible"
    assert checks["fraud_detection"]["suspicious"] is False


async def test_user_input_required_asks_for_what_is_missing_and_has_the_answer_validated() -> None:
    open_claim = Claim(claim_type="car", amount=5.0, currency="EUR")
    data = data_of(open_claim)
    missing = {"missing": open_claim.missing()}
    context = await call(user_input_required, Event("validation.failed", missing), data)
    assert context.waiting is not None
    message, schema = context.waiting
    assert "on which day" in message
    assert set(schema["properties"]) == {"incident_date", "policy_number", "answer"}
    assert context.emitted == []
    answer = Event("user.input.provided", {"answer": "CAR-104233, yesterday"})
    context = await call(user_input_required, answer, data)
    assert raised(context) == ["claim.processed"]
    assert Claim.from_data(data["claim"]).missing() == []


@pytest.mark.parametrize(
    "order",
    [
        ("validation.completed", "parallel.processing.completed"),
        ("parallel.processing.completed", "validation.completed"),
    ],
)
async def test_workflow_completion_completes_on_whichever_comes_second(
    order: tuple[str, str],
) -> None:
    data = data_of(CAR)
    await call(parallel_processor, PROCESSED, data)
    for check in (risk_assessment, fraud_detection, vehicle_inspection):
        await call(check, Event("requested"), data)
    assert (await call(workflow_completion, Event(order[0]), data)).output is None
    output = (await call(workflow_completion, Event(order[1]), data)).output
    assert output is not None
    assert (output["decision"], output["payout"], output["currency"]) == ("APPROVED", 900.0, "EUR")


def test_payouts_stay_between_nothing_and_the_limit_in_the_claims_currency() -> None:
    assert payout("car", CAR.money) == 900.0
    assert payout("travel", Claim(amount=90.0, currency="EUR").money) == 0
    assert payout("health", Claim(amount=1e6, currency="USD").money) == round(20_000 / 0.92, 2)
