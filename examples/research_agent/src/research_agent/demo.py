"""Asks the agent one question, answers its own question as a person would, and shows what happened.

    python -m research_agent.demo --address HOST:PORT

A client program: exit 0 only when the workflow ended as the person wanted.
"""

import argparse
import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from research_agent.calls import WORKFLOW_TYPE
from waystation_worker import Client, WaystationError, Workflow

QUESTION = "For how many nights did the store of oil on Skerra last, and who tends the light today?"
# Long enough for a model that thinks in each round.
GIVE_UP_SECONDS = 600.0


def main() -> int:
    """Reads the command line and runs the demo."""
    parser = argparse.ArgumentParser(prog="python -m research_agent.demo")
    parser.add_argument(
        "--address",
        default=os.environ.get("WAYSTATION_ADDRESS", "127.0.0.1:7400"),
        help="HOST:PORT of Waystation (WAYSTATION_ADDRESS)",
    )
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument(
        "--approve",
        choices=("ask", "yes", "no"),
        default="ask" if sys.stdin.isatty() else "yes",
        help="whether the plan is approved; asked for on a terminal, else yes",
    )
    chosen = parser.parse_args()
    try:
        workflow = asyncio.run(_research(chosen))
    except WaystationError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        return 130
    _show_tree(workflow.id, chosen.address)
    return 0 if (workflow.output or {}).get("outcome") in ("ANSWERED", "DECLINED") else 1


async def _research(chosen: argparse.Namespace) -> Workflow:
    """Starts a workflow and does what a person has to do until it has ended."""
    print(f"you:    {chosen.question}")
    async with Client(chosen.address) as client:
        started = await client.start(
            WORKFLOW_TYPE,
            {"question": chosen.question},
            workflow_instance_id=f"question-{time.time_ns() // 1_000_000:x}",
        )
        workflow = await client.wait(started.id, timeout=GIVE_UP_SECONDS)
        if workflow.status == "WAITING_FOR_INPUT":
            print(f"agent:  {workflow.waits[0].message}")
            approved = await asyncio.to_thread(_approves, chosen.approve)
            await client.provide_input(workflow.id, {"approved": approved})
            workflow = await client.wait(workflow.id, timeout=GIVE_UP_SECONDS)
        if workflow.output:
            print(f"agent:  {workflow.output['answer']}")
        else:
            print(f"agent:  ({(await client.explain(workflow.id)).summary})")
    return workflow


def _approves(how: str) -> bool:
    if how == "ask":
        return input("you:    (yes or no) ").strip().lower() in ("y", "yes")
    print(f"you:    {how}")
    return how == "yes"


def _show_tree(workflow_instance_id: str, address: str) -> None:
    """The workflow as `waystation show` draws it, where that is installed beside this Python."""
    command = ["waystation", "show", workflow_instance_id, "--address", address]
    print(f"\n$ {shlex.join(command)}", flush=True)
    if program := shutil.which("waystation", path=str(Path(sys.executable).parent)):
        subprocess.run([program, *command[1:]], check=False)  # noqa: S603 - of this environment


if __name__ == "__main__":
    sys.exit(main())
