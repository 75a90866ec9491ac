"""Which commands there are: their sections in help, what each says of itself in a line, and two examples.

It imports nothing of the commands, so that `--help` and TAB need not load them; `command_tree` does that for the
one that is called. Every example is typed by a test against a running system.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command. `function` is its place below `waystation_cli.commands`; `examples` are commands by what they do."""

    name: str
    summary: str
    function: str
    examples: Mapping[str, str]
    ids: bool = False
    """What it prints has ids, which `-o ids` prints alone."""
    answers: bool = False
    """Its exit code is an answer, which its help explains."""


@dataclass(frozen=True)
class Group:
    """Commands that are typed behind a word of their own, and what other tools call them."""

    name: str
    summary: str
    commands: tuple[Command, ...]
    meant: Mapping[str, str]


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

TLS = Group(
    "tls",
    "Make certificates for a trial.",
    (
        Command(
            "dev-certs",
            "Make an authority and certificates for a trial.",
            "trial_certificates:dev_certs",
            {
                "For this machine, in the folder tls": "waystation tls dev-certs",
                "For a name that others use": "waystation tls dev-certs certs --name api.example.com --days 90",
            },
        ),
    ),
    {"certs": "dev-certs", "create": "dev-certs", "generate": "dev-certs", "new": "dev-certs"},
)

NAMESPACES = Group(
    "namespaces",
    "Make, limit, list and delete namespaces.",
    (
        Command(
            "create",
            "Make a namespace.",
            "namespaces:create",
            {
                "With a description": "waystation namespaces create acme --description 'The shop of Acme'",
                "With limits": "waystation namespaces create small --max-open-workflows 1000 --max-starts-per-second 50",
            },
        ),
        Command(
            "get",
            "Show a namespace: its limits, and what it uses.",
            "namespaces:get",
            {
                "The one that is always there": "waystation namespaces get default",
                "For a script": "waystation namespaces get default --json",
            },
        ),
        Command(
            "update",
            "Change the description and limits of a namespace.",
            "namespaces:update",
            {
                "Another limit": "waystation namespaces update default --max-in-flight 500",
                "No limit any more": "waystation namespaces update default --max-in-flight 0",
            },
        ),
        Command(
            "list",
            "List the namespaces in which you have a role.",
            "namespaces:list_namespaces",
            {
                "All of them": "waystation namespaces list",
                "For a script": "waystation namespaces list --json",
            },
        ),
        Command(
            "delete",
            "Delete a namespace that has no workflows and no live handlers.",
            "namespaces:delete",
            {
                "One that nobody needs": "waystation namespaces delete small",
                "For a script": "waystation namespaces delete acme --json",
            },
        ),
    ),
    {
        "add": "create",
        "make": "create",
        "new": "create",
        "remove": "delete",
        "rm": "delete",
        "show": "get",
    },
)

SIGNING_KEY = Group(
    "signing-key",
    "Make and show the key that routers sign calls to handlers with.",
    (
        Command(
            "new",
            "Make a key, and print its public key.",
            "signing_key:new",
            {
                "A file that only you can read": "waystation signing-key new signing.pem",
                "For a script": "waystation signing-key new next.pem --json",
            },
        ),
        Command(
            "show",
            "Print the public key of a signing key.",
            "signing_key:show",
            {
                "For WAYSTATION_IDENTITY_KEYS": "waystation signing-key show signing.pem",
                "For a script": "waystation signing-key show signing.pem --json",
            },
        ),
    ),
    {
        "add": "new",
        "create": "new",
        "generate": "new",
        "get": "show",
        "make": "new",
        "public": "show",
    },
)

TOKENS = Group(
    "tokens",
    "Make, list and revoke API tokens, which say who is calling.",
    (
        Command(
            "create",
            "Make an API token. Its secret is shown once.",
            "tokens:create",
            {
                "For a client": "waystation tokens create deploy --role client",
                "For a handler service, for a month": "waystation tokens create shop --role handler "
                "--service shop --lifetime 30d",
            },
            ids=True,
        ),
        Command(
            "list",
            "List API tokens, newest first.",
            "tokens:list_tokens",
            {
                "Those that are valid": "waystation tokens list",
                "All, for a script": "waystation tokens list --ended --json",
            },
            ids=True,
        ),
        Command(
            "revoke",
            "Revoke API tokens permanently.",
            "tokens:revoke",
            {
                "By its name": "waystation tokens revoke old-deploy",
                "For a script": "waystation tokens revoke old-deploy --json",
            },
            ids=True,
        ),
    ),
    {
        "add": "create",
        "delete": "revoke",
        "get": "list",
        "issue": "create",
        "ls": "list",
        "make": "create",
        "new": "create",
        "remove": "revoke",
        "rm": "revoke",
        "show": "list",
    },
)

KEYS = Group(
    "keys",
    "Make preshared keys, which need no database.",
    (
        Command(
            "new",
            "Make a preshared key, and add its hash to a file.",
            "keys:new",
            {
                "The first key of an installation": "waystation keys new ops --role admin --namespace '*'",
                "For a handler service": "waystation keys new claims --role handler --service claims "
                "--file keys.json",
            },
        ),
    ),
    {"add": "new", "create": "new", "generate": "new", "make": "new"},
)

SECTIONS: Mapping[str, tuple[Command | Group, ...]] = {
    "Begin": (
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
    ),
    "Start workflows": (
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
    ),
    "Look at workflows": (
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
    ),
    "Act on workflows": (
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
    ),
    "Look after an installation": (
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
        NAMESPACES,
        Command(
            "login",
            "Store the address and the token of a server.",
            "login:login",
            {
                "With the token in a file": "waystation login < token.txt",
                "To one of several servers": "waystation login --profile staging < token.txt",
            },
        ),
        Command(
            "logout",
            "Remove a profile with its token.",
            "login:logout",
            {
                "The usual one": "waystation logout",
                "One of several": "waystation logout --profile staging",
            },
        ),
        TOKENS,
        KEYS,
        TLS,
        SIGNING_KEY,
        Command(
            "schema",
            "Print the JSON Schema of what a command prints with --json.",
            "shapes:schema",
            {
                "Which commands have one": "waystation schema",
                "That of one of them": "waystation schema dead-letters list",
            },
        ),
    ),
}

MEANT = {
    "abort": "cancel",
    "answer": "input",
    "approve": "input",
    "create": "start",
    "dashboard": "top",
    "delete": "cancel",
    "describe": "show",
    "dlq": "dead-letters",
    "emit": "publish",
    "endpoints": "handlers",
    "events": "watch",
    "exec": "run",
    "execute": "run",
    "follow": "watch",
    "get": "show",
    "health": "status",
    "history": "show",
    "info": "show",
    "inspect": "show",
    "kill": "cancel",
    "log": "watch",
    "logs": "watch",
    "ls": "list",
    "new": "start",
    "ps": "list",
    "query": "show",
    "reset": "fork",
    "result": "wait",
    "retry": "dead-letters retry",
    "rm": "cancel",
    "send": "publish",
    "serve": "dev",
    "server": "dev",
    "signal": "publish",
    "stats": "status",
    "stop": "cancel",
    "submit": "start",
    "tail": "watch",
    "tasks": "handlers list",
    "terminate": "cancel",
    "trace": "show",
    "trigger": "start",
    "up": "dev",
    "why": "explain",
    "workers": "handlers list",
}
"""What other tools call it; the letters alone would suggest `migrate` for `terminate`."""


def commands() -> Iterator[tuple[str, Command]]:
    """Every command by the words that are typed for it."""
    for section in SECTIONS.values():
        for entry in section:
            if isinstance(entry, Command):
                yield entry.name, entry
            else:
                yield from ((f"{entry.name} {each.name}", each) for each in entry.commands)


def find(name: str) -> Command:
    """The command that is typed so. Raises KeyError."""
    return dict(commands())[name]
