"""Sends N generated inputs to a system of its own, and says what came of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc

from fuzz_input.doors import Doors, Fault, known_values
from fuzz_input.handler import CANARY, STREAM, UNARY, HostileHandler
from fuzz_input.system import ASKED_SECONDS, System
from fuzz_input.values import Filler
from localservers import given_servers
from localservers.given_servers import GivenServers
from localservers.health import serves
from waystation.v1 import blocker_pb2, status_pb2, workflow_service_pb2_grpc
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.workflow_pb2 import WorkflowFilter

AT_ONCE = 16
CHECK_EVERY = 500
SETTLE_SECONDS = 180.0
SHOWN = 20
UNSETTLED = frozenset({blocker_pb2.BLOCKER_KIND_PENDING_EVENT, blocker_pb2.BLOCKER_KIND_IN_CALL})


def _options() -> tuple[argparse.Namespace, GivenServers | None]:
    parser = argparse.ArgumentParser(prog="python -m fuzz_input", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="inputs (100000)")
    parser.add_argument("--seed", type=int, default=None, help="what they follow from")
    parser.add_argument("--only", type=int, action="append", help="this input alone")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    given_servers.add_options(parser)
    options = parser.parse_args()
    return options, given_servers.from_options(parser, options)


class Run:
    """One run against one system."""

    def __init__(self, system: System, seed: int) -> None:
        self._system = system
        self._seed = seed
        self.problems: list[str] = []

    def _rng(self, number: int) -> random.Random:
        return random.Random(f"{self._seed}:{number}")

    async def go(self, numbers: list[int]) -> Doors:
        """Sends the inputs, and looks how the system is while and after that."""
        system = self._system
        # By default it receives 4 MiB, and no answer may be larger.
        async with grpc.aio.insecure_channel(system.address) as channel:
            self._workflows: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
            instances = [await self._start("fuzzed", f"known-{number}") for number in range(20)]
            filler = Filler(known_values(instances))
            handler = HostileHandler(filler, self._rng)
            await handler.start(channel)
            doors = Doors(
                channel,
                filler,
                self._rng,
                ports=(_port(system.address), _port(system.router_address)),
                amqp_url=system.amqp_url,
            )
            try:
                await self._canary("before")
                await self._send(doors, numbers)
                await self._canary("afterwards")
                await self._settled()
            finally:
                await asyncio.to_thread(doors.close)
                await handler.stop()
        return doors

    async def _send(self, doors: Doors, numbers: list[int]) -> None:
        for at in range(0, len(numbers), CHECK_EVERY):
            left = iter(numbers[at : at + CHECK_EVERY])

            async def one_after_the_other(left: Any = left) -> None:
                for number in left:
                    try:
                        await doors.send(number)
                    except Exception as error:
                        doors.tally.blame(Fault(number, "?", repr(error)[:500], b""))

            await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
            await self._look(f"after {at + CHECK_EVERY} inputs")
            print(
                f"{min(at + CHECK_EVERY, len(numbers))} of {len(numbers)}, "
                f"{len(doors.tally.faults)} faults, MiB {self._system.memory_mib()}",
                flush=True,
            )

    async def _look(self, when: str) -> None:
        for name, address in (
            ("api", self._system.address),
            ("router", self._system.router_address),
        ):
            if not self._system.processes[name].running:
                raise SystemExit(
                    f"{name} ended {when}: {self._system.processes[name].output()[-3000:]}"
                )
            if not await asyncio.to_thread(serves, address, ASKED_SECONDS):
                self.problems.append(f"{name} is not SERVING {when}")

    async def _start(self, workflow_type: str, instance_id: str) -> str:
        request = pb.StartWorkflowRequest(
            workflow_type=workflow_type, workflow_instance_id=instance_id
        )
        await self._workflows.StartWorkflow(request, timeout=60)
        return instance_id

    async def _canary(self, when: str) -> None:
        """A workflow as it should be ends as it should."""
        start = pb.StartWorkflowRequest(workflow_type=CANARY, workflow_instance_id=f"canary-{when}")
        answer = await self._workflows.RunWorkflow(
            pb.RunWorkflowRequest(start=start, timeout={"seconds": 60}), timeout=90
        )
        if answer.context.status != status_pb2.WORKFLOW_STATUS_COMPLETED:
            self.problems.append(f"the canary {when} did not complete: {answer.context.status}")

    async def _settled(self) -> None:
        """Every delivery with a bad answer has an outcome: none is in call for ever."""
        end = time.monotonic() + SETTLE_SECONDS
        left = await self._unsettled()
        while left and time.monotonic() < end:
            await asyncio.sleep(1)
            left = await self._unsettled()
        if left:
            self.problems.append(f"{len(left)} workflows are not settled, such as {left[:5]}")

    async def _unsettled(self) -> list[str]:
        found = []
        token = ""
        while True:
            page = await self._workflows.ListWorkflows(
                pb.ListWorkflowsRequest(
                    filter=WorkflowFilter(
                        workflow_types=[UNARY, STREAM],
                        statuses=[status_pb2.WORKFLOW_STATUS_ACTIVE],
                        idle=False,
                    ),
                    page_size=1_000,
                    page_token=token,
                ),
                timeout=60,
            )
            for context in page.workflows:
                request = pb.ExplainWorkflowRequest(
                    workflow_instance_id=context.workflow_instance_id
                )
                told = await self._workflows.ExplainWorkflow(request, timeout=60)
                if any(blocker.kind in UNSETTLED for blocker in told.blockers):
                    found.append(context.workflow_instance_id)
            token = page.next_page_token
            if not token:
                return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _report(doors: Doors, problems: list[str], seconds: float) -> None:
    tally = doors.tally
    print(f"\n{sum(tally.sent.values())} inputs in {seconds:.0f} s, by door:")
    for door, count in sorted(tally.sent.items()):
        print(f"  {door:<24} {count}")
    print(
        "answers:",
        ", ".join(f"{name} {count}" for name, count in Counter(tally.answers).most_common()),
    )
    print(f"{len(tally.faults)} faulty answers")
    for problem in problems:
        print("PROBLEM", problem)


def main() -> int:
    """Runs what the options say; 0 where nothing was wrong."""
    options, servers = _options()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    numbers = options.only or list(range(1, options.count + 1))
    print(f"seed {seed}, {len(numbers)} inputs; `--seed {seed} --only NUMBER` sends one again")
    with tempfile.TemporaryDirectory(prefix="waystation-fuzz-") as folder:
        logs = options.logs or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        with System(logs, servers) as system:
            run = Run(system, seed)
            began = time.monotonic()
            doors = asyncio.run(run.go(numbers))
            logged = system.faults_logged()
            problems = [*run.problems, *(f"logged: {line}" for line in logged[:SHOWN])]
            _report(doors, problems, time.monotonic() - began)
    return 1 if problems or doors.tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
