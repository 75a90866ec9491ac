"""The example's claims as load: many at once, joined in both ways, each of which must end as its file
says."""

import asyncio
import itertools
import json
from collections import defaultdict
from typing import Any

from insurance_claim.checks import JOINED
from insurance_claim.demo.claim_files import DEFAULT_FOLDER, ClaimFile, joined, read_claims
from insurance_claim.service import WORKFLOW_TYPE
from support.stories import history_of, raised_types, read_story, told
from waystation_worker import Client

WINDSCREEN: dict[str, Any] = {
    "claim_type": "car",
    "amount": 640,
    "currency": "EUR",
    "incident_date": "2025-02-11",
    "policy_number": "CAR-330091",
    "language": "en",
    "injured": False,
    "damage": ["glass"],
    "suspicions": [],
}
"""What a model should say of the claim `car-windscreen`."""


def unattended() -> list[ClaimFile]:
    """The claims that complete without a person."""
    return [
        claim
        for claim in read_claims(DEFAULT_FOLDER)
        if (claim.expected.status, claim.expected.waits, claim.expected.dead_letters)
        == ("COMPLETED", 0, 0)
    ]


async def start_claims(client: Client, count: int, *, at_once: int = 100) -> dict[str, ClaimFile]:
    """Starts so many claims, by turns joined in the naive and in the structured way; answers with what
    each instance was made of."""
    places = asyncio.Semaphore(at_once)

    async def start(claim: ClaimFile) -> tuple[str, ClaimFile]:
        async with places:
            return (await client.start(WORKFLOW_TYPE, claim.claim)).id, claim

    claims = unattended()
    both = zip(joined(claims, "naive"), joined(claims, "structured"), strict=True)
    chosen = itertools.islice(itertools.cycle(itertools.chain.from_iterable(both)), count)
    return dict(await asyncio.gather(*(start(claim) for claim in chosen)))


async def check_claims(client: Client, started: dict[str, ClaimFile], *, within: float) -> None:
    """Every claim ends as its file says within so many seconds, joined once and in the way it was
    told, and every story holds; claim by claim, both ways end alike. Raises AssertionError that
    names those that do not."""
    ends = asyncio.get_running_loop().time() + within
    wrong: dict[str, str] = {}
    endings: defaultdict[str, set[str]] = defaultdict(set)

    async def check(workflow_instance_id: str, claim: ClaimFile) -> None:
        left = max(0.1, ends - asyncio.get_running_loop().time())
        ended = await client.wait(workflow_instance_id, timeout=left)
        if not ended.ended:
            explained = await client.explain(workflow_instance_id)
            story = told(await history_of(client, workflow_instance_id))
            wrong[workflow_instance_id] = f"{claim.name} did not end: {explained.summary}\n{story}"
            return
        expected = (claim.expected.status, claim.expected.outcome, claim.expected.payout)
        output = ended.output or {}
        found = (ended.status, output.get("decision"), output.get("payout"))
        if found != expected:
            wrong[workflow_instance_id] = (
                f"{claim.name} ended as {found}, not {expected}: {ended.failure}"
            )
            return
        story = await read_story(client, workflow_instance_id)
        joins = (await raised_types(client, workflow_instance_id))[JOINED]
        checks = story.data["parallel_tasks"]
        endings[claim.name].add(json.dumps([output, checks], sort_keys=True))
        groups = sum(entry.action == "fan_in" for entry in story.entries)
        if groups != (claim.claim["join"] == "structured"):
            wrong[workflow_instance_id] = (
                f"{claim.name} is {claim.claim['join']}, with {groups} groups"
            )
        if joins != 1 or any(check["state"] == "requested" for check in checks.values()):
            wrong[workflow_instance_id] = f"{claim.name} joined {joins} times, checks: {checks}"

    await asyncio.gather(*(check(*each) for each in started.items()))
    wrong |= {name: f"ends differ: {ends}" for name, ends in endings.items() if len(ends) > 1}
    assert not wrong, "\n".join(f"{key}: {what}" for key, what in list(wrong.items())[:10])
