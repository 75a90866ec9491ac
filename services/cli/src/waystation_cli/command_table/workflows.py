"""Commands to begin with, and those that start workflows, look at them and act on them."""

from __future__ import annotations

from waystation_cli.command_table.command import Command
from waystation_cli.command_table.dead_letters import DEAD_LETTERS

BEGIN = (
    Command(
        "init",
        "Write a first service: three tasks, their test, a README.",
        "init:init",
        {
            "In a new folder": "waystation init orders",
            "In this one": "waystation init",
        },
    ),
    Command(
        "dev",
        "Run the whole engine in one process.",
        "dev:dev",
        {
            "At 127.0.0.1:7400, with its data kept": "waystation dev",
            "Elsewhere, and for a try": "waystation dev --port 7410 --data-dir ./engine",
        },
    ),
)

START = (
    Command(
        "start",
        "Start a workflow and return immediately.",
        "starts:start",
        {
            "One, under an id of yours": "waystation start order --id order-2026-1 --data '{\"amount\": 120}'",
            "One for each line of a file": "waystation start order --many orders.jsonl",
        },
        ids=True,
    ),
    Command(
        "run",
        "Start a workflow and wait for its outcome.",
        "starts:run",
        {
            "The output on the screen": "waystation run order --data '{\"amount\": 120}'",
            "The data from a file, half a minute at most": "waystation run order --data @order.json "
            "--timeout 30s",
        },
        ids=True,
        answers=True,
    ),
    Command(
        "wait",
        "Wait for the outcome of a workflow.",
        "starts:wait",
        {
            "The one that was started last": "waystation wait @last",
            "Ten minutes at most": "waystation wait order-7 --timeout 10m",
        },
        answers=True,
    ),
)

LOOK = (
    Command(
        "list",
        "List workflows, newest first.",
        "workflow_list:list_workflows",
        {
            "What failed since yesterday": "waystation list --status failed --since 24h",
            "The ids of one case": "waystation list --correlation-id case-7 -o ids",
        },
        ids=True,
    ),
    Command(
        "show",
        "Show the timeline and the attempts of a workflow.",
        "workflows:show",
        {
            "The newest": "waystation show @last",
            "As it was after entry 2, with its data": "waystation show order-7 --at 2 --data",
        },
        ids=True,
    ),
    Command(
        "watch",
        "Watch a workflow until it has ended.",
        "live:watch",
        {
            "From the beginning": "waystation watch order-7",
            "Each entry of history as a line of JSON": "waystation watch order-7 --json",
        },
        answers=True,
    ),
    Command(
        "explain",
        "Show what a workflow waits for.",
        "workflows:explain",
        {
            "And what to do about it": "waystation explain refund-7",
            "The newest": "waystation explain @last",
        },
    ),
    Command(
        "diff",
        "Show what changed between two entries of a history.",
        "replays:diff",
        {
            "From entry 2 until now": "waystation diff order-7 2",
            "What entry 3 changed": "waystation diff order-7 2 3",
        },
        answers=True,
    ),
)

ACT = (
    Command(
        "inbox",
        "List what workflows ask people, and how to answer.",
        "inbox:inbox",
        {
            "All open questions": "waystation inbox",
            "Those of one type": "waystation inbox --type refund",
        },
        ids=True,
    ),
    Command(
        "input",
        "Answer workflows that wait for input.",
        "changes:provide_input",
        {
            "An answer with its author": "waystation input refund-1 --data '{\"approved\": true}' --by ada",
            "From a file": "waystation input refund-2 --data @answer.json",
        },
        ids=True,
    ),
    Command(
        "publish",
        "Raise an event in a running workflow.",
        "changes:publish",
        {
            "At once": "waystation publish refund-7 refund.amended --data '{\"amount\": 90}'",
            "In ten minutes": "waystation publish refund-7 refund.reminded --delay 10m",
        },
        ids=True,
    ),
    Command(
        "cancel",
        "End running workflows as CANCELLED.",
        "changes:cancel",
        {
            "With a reason for the history": "waystation cancel refund-3 --reason 'paid twice'",
            "The newest open refund": "waystation cancel "
            "$(waystation list --type refund --status waiting_for_input --limit 1 -o ids)",
        },
        ids=True,
    ),
    Command(
        "fork",
        "Start a new workflow from an earlier state of another one.",
        "replays:fork",
        {
            "With other data": "waystation fork order-7 --at 2 --set /amount=100",
            "Under an id of yours": "waystation fork order-7 --at 2 --id order-7-again",
        },
        ids=True,
    ),
    Command(
        "replay",
        "Show what the tasks of today would do differently.",
        "replays:replay",
        {
            "All entries": "waystation replay order-7",
            "One task only": "waystation replay order-7 --task price",
        },
        answers=True,
    ),
    DEAD_LETTERS,
)
