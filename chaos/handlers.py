"""The handler services: tasks that carry out the blocks of `chaos.programs`.

`python -m chaos.handlers SERVICE NAME`, SERVICE being one of SERVICES or `late-N`. Each call is
written to the witness ledger before it is answered; each commit appends a token that no other has
to the list /tokens.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from chaos.folder import Lines
from chaos.programs import WORKFLOW_TYPE, Block, event_type
from waystation_worker import Backoff, HandlerService, NewEvent, Reject, RetryAfter, TaskContext
from waystation_worker.reply import Reply

SERVICES = ("alpha", "beta", "gamma")
LEASE_SECONDS = 10.0
HANG_SECONDS = 30.0
_STEADY: dict[str, Any] = {
    "workflow_types": [WORKFLOW_TYPE],
    # Faults of links and processes spend attempts; a task that works must outlive all of them.
    "max_attempts": 1000,
    "backoff": Backoff(initial=0.2, multiplier=2.0, maximum=3.0),
    "timeout": 8.0,
    "max_in_flight": 500,
}


class Witness:
    """The ledger of one process."""

    def __init__(self, process: str, file: Path) -> None:
        self._process = process
        self._lines = Lines(file)

    def saw(self, ctx: TaskContext, block: str, answer: str, **more: Any) -> str:
        """Notes a call and what will be answered; the token for the context."""
        token = f"{block}/{ctx.event.event_id[-12:]}/{ctx.attempt}/{os.urandom(4).hex()}"
        self._lines.write(
            process=self._process,
            instance=ctx.workflow_instance_id,
            event=ctx.event.event_id,
            task=ctx.task_id,
            attempt=ctx.attempt,
            completion_token=ctx.completion_token,
            dry_run=ctx.dry_run,
            block=block,
            answer=answer,
            token=token,
            **more,
        )
        return token


def go_on(reply: Reply, blocks: list[Block], delay: float | None = None) -> None:
    """Raises the event for the next block, if there is one."""
    if blocks:
        reply.emit(event_type(blocks), {"blocks": blocks}, delay=delay)


def _next_event(blocks: list[Block]) -> NewEvent:
    return NewEvent(event_type(blocks), {"blocks": blocks})


class Tasks:
    """The tasks of all services; each service hosts its share."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def _did(self, ctx: TaskContext) -> tuple[Block, list[Block]]:
        """Puts the token of the first block into the context; returns the other blocks."""
        first, *rest = ctx.event.payload["blocks"]
        ctx.data["tokens"].append(self._witness.saw(ctx, first["id"], "ok"))
        return first, rest

    async def begin(self, ctx: TaskContext) -> None:
        """The first event."""
        ctx.data["tokens"].append(self._witness.saw(ctx, "begin", "ok"))
        go_on(ctx, ctx.event.payload["blocks"])

    async def work(self, ctx: TaskContext) -> None:
        """Nothing but the next event."""
        _, rest = self._did(ctx)
        go_on(ctx, rest)

    async def fan(self, ctx: TaskContext) -> None:
        """A structured fan-out; what follows is raised when it is settled."""
        block, rest = self._did(ctx)
        ctx.fan_out(
            [_next_event(branch) for branch in block["branches"]],
            _next_event(rest),
            need=int(block.get("need", 0)),
        )

    async def split(self, ctx: TaskContext) -> None:
        """The naive parallel join: as many events, the last one to be handled goes on."""
        block, rest = self._did(ctx)
        width = int(block["width"])
        ctx.data["joins"][block["id"]] = {}
        for branch in range(width):
            mark = {"do": "mark", "id": f"{block['id']}.{branch}"}
            ctx.emit(
                "step.mark",
                {
                    "blocks": [mark],
                    "join": block["id"],
                    "branch": branch,
                    "width": width,
                    "rest": rest,
                },
            )

    async def mark(self, ctx: TaskContext) -> None:
        """One branch of a naive join."""
        self._did(ctx)
        payload = ctx.event.payload
        done = ctx.data["joins"][payload["join"]]
        done[str(int(payload["branch"]))] = True
        if all(str(branch) in done for branch in range(int(payload["width"]))):
            go_on(ctx, list(payload["rest"]))

    async def ask(self, ctx: TaskContext) -> None:
        """A question; `answered` or `unanswered` goes on."""
        block, rest = self._did(ctx)
        ctx.data["after"][block["id"]] = rest
        ctx.wait_for_input(
            f"answer {block['id']}",
            wait_id=block["id"],
            timeout=block.get("seconds"),
            answer_path=f"/answers/{block['id']}",
        )

    async def answered(self, ctx: TaskContext) -> None:
        """The answer came."""
        wait_id = ctx.event.payload["wait_id"]
        ctx.data["tokens"].append(self._witness.saw(ctx, f"{wait_id}.answered", "ok"))
        go_on(ctx, list(ctx.data["after"][wait_id]))

    async def unanswered(self, ctx: TaskContext) -> None:
        """The answer did not come in time."""
        wait_id = ctx.event.payload["wait_id"]
        ctx.data["tokens"].append(self._witness.saw(ctx, f"{wait_id}.unanswered", "ok"))
        go_on(ctx, list(ctx.data["after"][wait_id]))

    async def nap(self, ctx: TaskContext) -> None:
        """What follows is delayed."""
        block, rest = self._did(ctx)
        go_on(ctx, rest, delay=float(block["seconds"]))

    async def spark(self, ctx: TaskContext) -> None:
        """Raises what follows, and an event that expires."""
        block, rest = self._did(ctx)
        flash = {"do": "flash", "id": f"{block['id']}.flash"}
        ctx.emit(
            "step.flash",
            {"blocks": [flash]},
            expires_at=datetime.now(UTC) + timedelta(seconds=float(block["seconds"])),
        )
        go_on(ctx, rest)

    async def pend(self, ctx: TaskContext) -> None:
        """Answers `pending`: the load process completes it."""
        block, *rest = ctx.event.payload["blocks"]
        self._witness.saw(ctx, block["id"], "pending", seconds=block["seconds"], rest=rest)
        ctx.pending(timeout=20.0)

    async def flaky(self, ctx: TaskContext) -> None:
        """Fails in its first attempts."""
        block = ctx.event.payload["blocks"][0]
        if ctx.attempt <= block["fails"]:
            self._witness.saw(ctx, block["id"], "fails")
            if "after" in block:
                raise RetryAfter(float(block["after"]), "NOT_YET")
            raise RuntimeError("this attempt fails")
        _, rest = self._did(ctx)
        go_on(ctx, rest)

    async def hang(self, ctx: TaskContext) -> None:
        """Does not answer its first attempt."""
        block = ctx.event.payload["blocks"][0]
        if ctx.attempt == 1:
            self._witness.saw(ctx, block["id"], "hangs")
            await asyncio.sleep(HANG_SECONDS)
        _, rest = self._did(ctx)
        go_on(ctx, rest)

    async def poison(self, ctx: TaskContext) -> None:
        """Fails until an operator has edited the event."""
        block = ctx.event.payload["blocks"][0]
        if not ctx.event.payload.get("cured"):
            self._witness.saw(ctx, block["id"], "rejects")
            raise Reject("POISON", "an operator has to look at this")
        _, rest = self._did(ctx)
        go_on(ctx, rest)

    async def give_up(self, ctx: TaskContext) -> None:
        """Always fails; the workflow goes on without it."""
        block = ctx.event.payload["blocks"][0]
        self._witness.saw(ctx, block["id"], "rejects")
        raise Reject("HOPELESS", "this branch never works")

    async def kill(self, ctx: TaskContext) -> None:
        """Kills the process that it runs in."""
        block = ctx.event.payload["blocks"][0]
        if not ctx.dry_run:
            self._witness.saw(ctx, block["id"], "kills")
            os.kill(os.getpid(), signal.SIGKILL)

    async def run_on(self, ctx: TaskContext) -> None:
        """Raises its own event again."""
        block, _ = self._did(ctx)
        go_on(ctx, [block])

    async def late(self, ctx: TaskContext) -> None:
        """A task of a service that registers while the run goes on."""
        _, rest = self._did(ctx)
        go_on(ctx, rest)

    async def note(self, ctx: TaskContext) -> None:
        """An event that a client published."""
        ctx.data["tokens"].append(self._witness.saw(ctx, f"note.{ctx.event.payload['note']}", "ok"))

    async def end(self, ctx: TaskContext) -> None:
        """Completes the instance."""
        block, _ = self._did(ctx)
        ctx.complete({"ended_by": block["id"]})


def make_service(name: str, tasks: Tasks) -> HandlerService:
    """The service of this name with its tasks."""
    service = HandlerService(f"chaos-{name}", version="1")

    def host(event: str, **options: Any) -> None:
        task = event.rpartition(".")[2]
        service.task(task, events=[event], **{**_STEADY, **options})(getattr(tasks, task))

    if name == "alpha":
        service.task("begin", events=["workflow.started"], **_STEADY)(tasks.begin)
        service.task("work", events=["step.work", "step.flash"], replayable=True, **_STEADY)(
            tasks.work
        )
        host("step.fan", replayable=True)
        host("step.split")
    elif name == "beta":
        host("step.mark")
        host("step.ask")
        service.task("answered", events=["user.input.provided"], **_STEADY)(tasks.answered)
        service.task("unanswered", events=["user.input.timed_out"], **_STEADY)(tasks.unanswered)
        host("step.nap")
        host("step.spark")
        service.task("note", events=["note"], **_STEADY)(tasks.note)
        host("step.end")
    elif name == "gamma":
        host("step.pend")
        host("step.flaky")
        host("step.hang", timeout=3.0)
        host("step.poison", max_attempts=3)
        host("step.give_up", max_attempts=2, on_failure="continue")
        host("step.run_on")
        host("step.kill", max_attempts=2, on_failure="continue")
    else:
        number = name.removeprefix("late-")
        service.task(f"late-{number}", events=[f"late.{number}"], **_STEADY)(tasks.late)
    return service


def main() -> None:
    """Serves until SIGTERM."""
    service, process = sys.argv[1:]
    witness = Witness(process, Path(os.environ["CHAOS_LEDGER"]) / f"{process}.jsonl")
    uvloop.install()
    make_service(service, Tasks(witness)).run(
        # The proxy of this endpoint listens on the same port of the host that is advertised.
        host="127.0.0.2",
        advertise_host="127.0.0.1",
        lease=LEASE_SECONDS,
        grace=8.0,
    )


if __name__ == "__main__":
    main()
