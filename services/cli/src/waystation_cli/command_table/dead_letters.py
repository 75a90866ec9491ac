"""Commands about failed deliveries."""

from __future__ import annotations

from waystation_cli.command_table.command import Command, Group

DEAD_LETTERS = Group(
    "dead-letters",
    "List, show, edit, retry and discard failed deliveries.",
    (
        Command(
            "list",
            "List dead letters, newest first.",
            "dead_letters:list_dead_letters",
            {
                "How many are open, by task and reason": "waystation dead-letters list --grouped",
                "Those of one task in the last two hours": "waystation dead-letters list --task charge --since 2h",
            },
            ids=True,
        ),
        Command(
            "show",
            "Show one: its error, its payload, what can be done.",
            "one_dead_letter:show",
            {
                "The newest": "waystation dead-letters show @last",
                "For a script": "waystation dead-letters show @last --json",
            },
            ids=True,
        ),
        Command(
            "edit",
            "Edit the payload in $EDITOR, and retry with it.",
            "one_dead_letter:edit",
            {
                "The newest": "waystation dead-letters edit @last",
                "Without a question at the end": "waystation dead-letters edit @last --yes",
            },
        ),
        Command(
            "retry",
            "Retry failed deliveries; FAILED workflows continue.",
            "dead_letters:retry",
            {
                "The newest": "waystation dead-letters retry @last",
                "Count what a bulk retry would do": "waystation dead-letters retry --task charge "
                "--reason CARD_DECLINED --dry-run",
            },
        ),
        Command(
            "discard",
            "Discard failed deliveries. It cannot be undone.",
            "dead_letters:discard",
            {
                "The newest": "waystation dead-letters discard @last",
                "All of one workflow, without a question": "waystation dead-letters discard "
                "--workflow order-8 --yes",
            },
        ),
    ),
    {
        "cat": "show",
        "delete": "discard",
        "describe": "show",
        "drop": "discard",
        "get": "show",
        "ls": "list",
        "purge": "discard",
        "redrive": "retry",
        "remove": "discard",
        "replay": "retry",
        "requeue": "retry",
        "resend": "retry",
        "rm": "discard",
        "view": "show",
    },
)
