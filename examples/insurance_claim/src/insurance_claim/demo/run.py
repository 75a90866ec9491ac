"""Takes claims through a running Waystation as their people and an operator would."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import grpc

from insurance_claim.demo.claim_files import ClaimFile, Ending
from insurance_claim.demo.operators import Operator
from insurance_claim.demo.screen import Screen
from waystation_worker import Client, WaystationError, Workflow

WORKFLOW_TYPE = "insurance_claim"
# Long enough for a slow machine; a claim that needs longer stands still, and explain says why.
GIVE_UP_SECONDS = 60.0
# How long a person thinks before answering, from and to.
THINKING_SECONDS = (0.5, 1.5)
_LOOK_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Result:
    """How one claim ended."""

    claim: ClaimFile
    instance_id: str
    ending: Ending
    events: int
    milliseconds: int
    problem: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether it ended as its file says."""
        return not self.problem and self.ending == self.claim.expected


class Run:
    """All claims of one run, which share a client, an operator and a screen."""

    def __init__(self, client: Client, operator: Operator, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self._operator = operator
        # A part of every instance id, so that a second run on the same data starts anew.
        self._run_id = f"{time.time_ns() // 1_000_000:x}"

    async def all(self, claims: list[ClaimFile]) -> list[Result]:
        """Runs all claims at once; gives their results in the order of the claims."""
        return list(await asyncio.gather(*(self._one(claim) for claim in claims)))

    async def _one(self, claim: ClaimFile) -> Result:
        """Runs one claim; whatever goes wrong with it is its result, not the end of the others."""
        instance_id = f"{claim.name}-{self._run_id}"
        watcher = asyncio.create_task(self._watch(claim.name, instance_id))
        try:
            return await self._guide(claim, instance_id)
        except (WaystationError, grpc.aio.AioRpcError, TimeoutError) as error:
            self._screen.ended(claim.name, "ERROR", str(error))
            return Result(claim, instance_id, Ending("ERROR", "", 0, 0), 0, 0, str(error))
        finally:
            watcher.cancel()

    async def _guide(self, claim: ClaimFile, instance_id: str) -> Result:
        """Starts a claim and does what people have to do until it ends."""
        screen, name = self._screen, claim.name
        screen.started(name)
        started = time.monotonic()
        thinking = 0.0
        waits = dead_letters = 0
        await self._client.start(WORKFLOW_TYPE, claim.claim, workflow_instance_id=instance_id)
        screen.tell(name, "ACTIVE", claim.why)
        while True:
            workflow = await self._client.wait(instance_id, timeout=GIVE_UP_SECONDS)
            if workflow.status == "WAITING_FOR_INPUT" and waits < len(claim.answers):
                screen.tell(name, workflow.status, workflow.waits[0].message)
                thinking += await self._answer(instance_id, claim.answers[waits])
                waits += 1
                screen.tell(name, "ACTIVE", "answered", aloud=False)
            elif workflow.status == "FAILED" and (
                letter := await self._operator.dead_letter_of(instance_id)
            ):
                dead_letters += 1
                screen.tell(name, "DEAD LETTER", letter.error.message)
                if claim.rescue_payload is None or dead_letters > 1:
                    break
                await self._operator.retry(letter.dead_letter_id, claim.rescue_payload)
                screen.tell(name, "ACTIVE", "tried again with an edited payload")
            else:
                break
        milliseconds = round((time.monotonic() - started - thinking) * 1000)
        ending = Ending(workflow.status, _outcome(workflow), waits, dead_letters, _payout(workflow))
        problem = "" if workflow.ended else (await self._client.explain(instance_id)).summary
        screen.ended(name, ending.status, problem or _in_words(workflow))
        events = len([entry async for entry in self._client.events(instance_id)])
        return Result(claim, instance_id, ending, events, milliseconds, problem)

    async def _answer(self, instance_id: str, answer: dict[str, Any]) -> float:
        """Answers as a person would, not at once; gives the seconds of thought."""
        seconds = random.uniform(*THINKING_SECONDS)  # noqa: S311 - a person, not a secret
        await asyncio.sleep(seconds)
        await self._client.provide_input(instance_id, answer)
        return seconds

    async def _watch(self, name: str, instance_id: str) -> None:
        """Shows the newest event of a running workflow; only where somebody is looking."""
        while self._screen.live:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                events = [entry async for entry in self._client.events(instance_id)]
            except WaystationError:
                # Not started yet, or the server is away: `_guide` tells, if it matters.
                continue
            if events:
                self._screen.now(name, events[-1].event_type)


def _outcome(workflow: Workflow) -> str:
    if workflow.status == "COMPLETED":
        return str((workflow.output or {}).get("decision", ""))
    return workflow.failure.reason if workflow.failure else ""


def _payout(workflow: Workflow) -> float | None:
    return (workflow.output or {}).get("payout") if workflow.status == "COMPLETED" else None


def _in_words(workflow: Workflow) -> str:
    if workflow.status == "COMPLETED" and workflow.output:
        output = workflow.output
        paid = f", pays {output['payout']:,.2f} {output['currency']}" if output["payout"] else ""
        return f"{output['decision']}: {output['because']}{paid}"
    return workflow.failure.message if workflow.failure else ""
