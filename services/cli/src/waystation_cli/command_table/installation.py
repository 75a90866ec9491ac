"""Commands for operators: what runs, which handlers there are, how events flow, the database."""

from __future__ import annotations

from waystation_cli.command_table.command import Command, Group

HANDLERS = Group(
    "handlers",
    "List, register and unregister endpoints; retire tasks.",
    (
        Command(
            "list",
            "List the endpoints, their state and their tasks.",
            "handlers:list_handlers",
            {
                "All": "waystation handlers list",
                "Those of one service, for a script": "waystation handlers list --service shop --json",
            },
            ids=True,
        ),
        Command(
            "register",
            "Register an endpoint that does not register itself. It stays until unregistered.",
            "handlers:register",
            {
                "One task": "waystation handlers register --service claims --host 127.0.0.1 --port 7500 "
                "--task 'claim_validator:claim.processed:claim'",
                "All tasks of a file": "waystation handlers register --service claims --host 127.0.0.1 "
                "--port 7501 --file tasks.json",
            },
            ids=True,
        ),
        Command(
            "unregister",
            "Remove endpoints.",
            "handlers:unregister",
            {
                "All of a service": "waystation handlers unregister "
                "$(waystation handlers list --service claims -o ids)",
                "The same, for a script": "waystation handlers unregister "
                "$(waystation handlers list --service claims -o ids) --json",
            },
        ),
        Command(
            "retire",
            "Retire a task permanently.",
            "handlers:retire",
            {
                "A task that no release declares any more": "waystation handlers retire old_charge",
                "Only count what would become dead letters": "waystation handlers retire older_charge --dry-run",
            },
        ),
    ),
    {
        "add": "register",
        "create": "register",
        "delete": "unregister",
        "describe": "list",
        "get": "list",
        "ls": "list",
        "remove": "unregister",
        "rm": "unregister",
        "show": "list",
    },
)

INSTALLATION = (
    Command(
        "status",
        "Show routers, queues, backlog and handlers.",
        "status:status",
        {
            "For people": "waystation status",
            "For an alarm": "waystation status --json",
        },
    ),
    Command(
        "top",
        "Show the state of the installation.",
        "live:top",
        {
            "Until q or Ctrl-C": "waystation top",
            "Twice a second": "waystation top --interval 500ms",
        },
    ),
    HANDLERS,
    Command(
        "lint",
        "Find problems in the flow of events.",
        "flow:lint",
        {
            "Of all types": "waystation lint",
            "Of one type, as a week showed it": "waystation lint --type order --since 7d",
        },
        answers=True,
    ),
    Command(
        "graph",
        "Draw the flow of events as a Mermaid flowchart or as DOT.",
        "flow:graph",
        {
            "For a page in Markdown": "waystation graph > flow.mmd",
            "For Graphviz": "waystation graph --type order --format dot",
        },
    ),
    Command(
        "audit",
        "Show who changed what, and whose calls were denied.",
        "audit:audit",
        {
            "Everything that was done to one workflow": "waystation audit --target order-7",
            "Calls that were denied in the last day": "waystation audit --denied --since 24h",
        },
    ),
    Command(
        "migrate",
        "Migrate the database schema to this release.",
        "migrate:migrate",
        {
            "The database of WAYSTATION_DATABASE_URL": "waystation migrate",
            "When Postgres starts at the same time": "waystation migrate --wait 1m",
        },
    ),
)

SCHEMA = Command(
    "schema",
    "Print the JSON Schema of what a command prints with --json.",
    "shapes:schema",
    {
        "Which commands have one": "waystation schema",
        "That of one of them": "waystation schema dead-letters list",
    },
)
