"""Each task on its own, called through the SDK: what it raises, keeps, asks and refuses."""

from typing import Any

import pytest

from example_data.flow import RECEIVED, Event, call
from insurance_claim.claim import Claim
from insurance_claim.claim_validator import find_problem
from insurance_claim.cover import payout

CAR = Claim(
    claim_type="car",
    amount=1200.0,
    currency="EUR",
    incident_date="2025-03-09",
    policy_number="CAR-104233",
    damage=("bumper",),
)
PROCESSED = Event("claim.processed")
CHECKS = ("risk_assessment", "fraud_detection", "vehicle_inspection")


def data_of(claim: Claim) -> dict[str, Any]:
    """Gives workflow data that holds this claim."""
    return {"received_on": "2025-03-10", "claim": claim.to_data(), "extracted_by": "rules"}


async def checked(data: dict[str, Any]) -> dict[str, Any]:
    """Gives the data after all checks."""
    data = (await call("parallel_processor", PROCESSED, data)).data
    for check in CHECKS:
        data = (await call(check, Event("requested"), data)).data
    return data


async def test_claim_processor_reads_the_letter_from_the_event_so_that_an_edited_one_counts() -> (
    None
):
    data = {"text": "%PDF-1.4"}
    answer = await call("claim_processor", Event("workflow.started", data), data)
    assert answer.failure_reason == "UNREADABLE_TEXT"
    assert "scanned" in answer.failure_message
    text = "My passenger was injured yesterday, £300, car, CAR-104233"
    answer = await call("claim_processor", Event("workflow.started", {"text": text}), data)
    assert answer.data["text"] == text
    assert answer.data["received_on"] == RECEIVED.date().isoformat()
    assert answer.data["claim"]["policy_number"] == "CAR-104233"
    assert answer.raised == ["claim.processed"]
    assert answer.events[0].priority == 200


async def test_claim_validator_passes_asks_or_fails() -> None:
    answer = await call("claim_validator", PROCESSED, data_of(CAR))
    assert answer.raised == ["validation.completed"]
    assert answer.data["validation"] == {"state": "passed"}
    open_claim = Claim(claim_type="car", amount=5.0, currency="EUR")
    answer = await call("claim_validator", PROCESSED, data_of(open_claim))
    assert answer.raised == ["validation.failed"]
    assert answer.events[0].payload == {"missing": ["incident_date", "policy_number"]}
    answer = await call("claim_validator", PROCESSED, data_of(Claim(amount=-5.0, currency="EUR")))
    assert (answer.end, answer.failed_with) == ("fail", "AMOUNT_NOT_POSITIVE")


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
    answer = await call("parallel_processor", PROCESSED, data_of(CAR))
    assert answer.raised == [
        "risk.assessment.requested",
        "fraud.detection.requested",
        "vehicle.inspection.requested",
    ]
    assert answer.data["parallel_tasks"] == {name: {"state": "requested"} for name in CHECKS}
    assert (await call("parallel_processor", PROCESSED, answer.data)).raised == []
    home = data_of(Claim(claim_type="home", amount=5.0, currency="EUR"))
    assert len((await call("parallel_processor", PROCESSED, home)).raised) == 2
    unknown = await call(
        "parallel_processor", PROCESSED, data_of(Claim(amount=5.0, currency="EUR"))
    )
    assert (unknown.raised, unknown.operations) == ([], [])


async def test_only_the_last_check_raises_the_join() -> None:
    data = (await call("parallel_processor", PROCESSED, data_of(CAR))).data
    for number, check in enumerate(CHECKS, start=1):
        answer = await call(check, Event("requested"), data)
        data = answer.data
        joined = ["parallel.processing.completed"] if number == len(CHECKS) else []
        assert answer.raised == joined
    results = data["parallel_tasks"]
    assert results["risk_assessment"] == {"state": "done", "score": 2, "level": "low"}
    assert results["vehicle_inspection"]["finding"] == "plausible"
    assert results["fraud_detection"]["suspicious"] is False


async def test_validation_and_checks_can_run_at_the_same_time() -> None:
    """What one of them writes, the other neither reads nor writes: no call is made twice."""
    validator = await call("claim_validator", PROCESSED, data_of(CAR))
    processor = await call("parallel_processor", PROCESSED, data_of(CAR))
    for one, other in ((validator, processor), (processor, validator)):
        for path, _ in one.writes:
            assert not any(
                place.startswith(path) or path.startswith(f"{place}/")
                for place in [*other.reads, *(path for path, _ in other.writes)]
            )


async def test_user_input_required_asks_for_what_is_missing_and_has_the_answer_validated() -> None:
    open_claim = Claim(claim_type="car", amount=5.0, currency="EUR")
    missing = {"missing": open_claim.missing()}
    asked = await call(
        "user_input_required", Event("validation.failed", missing), data_of(open_claim)
    )
    assert "on which day" in asked.question
    assert set(asked.form["properties"]) == {"incident_date", "policy_number", "answer"}
    given = Event("user.input.provided", {"input": {"answer": "CAR-104233, yesterday"}})
    answer = await call("user_input_required", given, data_of(open_claim))
    assert answer.raised == ["claim.processed"]
    assert Claim.from_data(answer.data["claim"]).missing() == []


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
    data = await checked(data_of(CAR))
    first = await call("workflow_completion", Event(order[0]), data)
    assert first.end == ""
    second = await call("workflow_completion", Event(order[1]), first.data)
    assert second.end == "complete"
    assert second.output["decision"] == "APPROVED"
    assert (second.output["payout"], second.output["currency"]) == (900.0, "EUR")


def test_payouts_stay_between_nothing_and_the_limit_in_the_claims_currency() -> None:
    assert payout("car", CAR.money) == 900.0
    assert payout("travel", Claim(amount=90.0, currency="EUR").money) == 0
    assert payout("health", Claim(amount=1e6, currency="USD").money) == round(20_000 / 0.92, 2)
