"""Commands about who may do what: namespaces, profiles, tokens, keys, certificates."""

from __future__ import annotations

from waystation_cli.command_table.command import Command, Group

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

ACCESS = (
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
)
