"""The claim files tell the truth: each ends as it says, however its tasks meet."""

import random
from collections import Counter

import pytest

from example_data.flow import CLAIMS, RECEIVED, Ended, Flow, read_claim
from insurance_claim.extractor import extract
from insurance_claim.vocabulary import CLAIM_TYPES

NAMES = sorted(path.stem for path in CLAIMS.glob("*.json"))
COMPLETED = [name for name in NAMES if read_claim(name)["expected"]["status"] == "COMPLETED"]


async def ended_in_many_ways(name: str, *joins: str) -> list[Ended]:
    """Runs a claim with its deliveries meeting and committing in many orders."""
    endings = []
    for seed in range(12):
        file = read_claim(name)
        file["claim"]["join"] = joins[seed % len(joins)]
        endings.append(await Flow(file, random.Random(seed)).run())
    return endings


@pytest.mark.parametrize("name", NAMES)
async def test_every_claim_ends_as_its_file_says_in_any_order(name: str) -> None:
    file = read_claim(name)
    expected = file["expected"]
    assert file["why"].endswith(".")
    for ended in await ended_in_many_ways(name, "naive", "structured"):
        assert ended.status == expected["status"]
        assert ended.outcome == expected["outcome"]
        assert ended.payout == expected.get("payout")
        assert ended.waits == expected["waits"] == len(file["answers"])
        assert ended.dead_letters == expected["dead_letters"]


@pytest.mark.parametrize("name", COMPLETED)
async def test_a_claim_that_completes_joins_its_checks_exactly_once(name: str) -> None:
    waits = read_claim(name)["expected"]["waits"]
    endings = await ended_in_many_ways(name, "naive", "structured")
    naive = endings[::2]
    for ended in endings:
        seen = Counter(ended.event_types)
        assert seen["parallel.processing.completed"] == 1
        assert seen["validation.completed"] == 1
        assert seen["vehicle.inspection.requested"] == (1 if name.startswith("car-") else 0)
        assert seen["claim.processed"] == 1 + waits
    # The checks did meet: without the conflict rule the naive join would have been lost.
    assert any(ended.conflicts for ended in naive)


def test_the_claims_are_as_various_as_the_example_promises() -> None:
    files = {name: read_claim(name) for name in NAMES}
    expected = [file["expected"] for file in files.values()]
    assert len(files) >= 24
    assert sum(1 for end in expected if end["waits"]) >= 4
    assert sum(1 for end in expected if end["status"] == "FAILED") >= 2
    assert sum(end["dead_letters"] for end in expected) >= 1
    assert {name.partition("-")[0] for name in files} == set(CLAIM_TYPES)
    readable = [
        extract(file["claim"]["text"], RECEIVED.date())
        for file in files.values()
        if "rescue" not in file
    ]
    assert len({claim.language for claim in readable}) >= 8
    assert len({claim.currency for claim in readable} - {None}) >= 6
