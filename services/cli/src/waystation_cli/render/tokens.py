"""API tokens: what they allow, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from waystation.v1.token_pb2 import Role, Token
from waystation.v1.token_service_pb2 import CreateTokenResponse, RevokeTokenResponse
from waystation_cli.render import names
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import WIDE, plain, stdout, table, when, when_in_column, zone


def print_created(response: CreateTokenResponse) -> None:
    """Prints the secret, alone on its line, and what its holder does with it."""
    out, token = stdout(), response.token
    out.print(plain(f"Made the token {token.name}: {_allows(token)}."), soft_wrap=True)
    if token.HasField("expires_at"):
        out.print(plain(f"It is valid until {when(token.expires_at)}."))
    out.print("Its secret, which is shown only here:", style="bold")
    out.print(plain(f"  {response.secret}"), soft_wrap=True)
    out.print("Its holder types it at `waystation login`, or puts it into a file:", style="bold")
    out.print("  export WAYSTATION_TOKEN_FILE=FILE", soft_wrap=True)


def print_tokens(tokens: Sequence[Token], more: bool) -> None:
    """One line for each."""
    out = stdout()
    if not tokens:
        out.print("There is no API token. `waystation tokens create` makes one.")
        return
    wide = out.width >= WIDE
    rows = table("NAME", "ALLOWS", f"ENDS ({zone()})", *(("MADE BY",) if wide else ()), "TOKEN ID")
    rows.columns[-1].no_wrap = True
    for token in tokens:
        rows.add_row(
            plain(token.name),
            plain(_allows(token)),
            plain(_end(token)),
            *((plain(token.created_by),) if wide else ()),
            plain(token.token_id),
        )
    out.print(rows)
    if more:
        print_more(out, len(tokens))


def print_revoked(response: RevokeTokenResponse) -> None:
    """Says until when it may still be taken."""
    stdout().print(
        plain(f"Revoked the token {response.token.name}: every server refuses it within 30 s.")
    )


def _allows(token: Token) -> str:
    parts = []
    for grant in token.grants:
        roles = ", ".join(str(names.of_enum(Role.DESCRIPTOR, each)).lower() for each in grant.roles)
        where = "every namespace" if grant.namespace == "*" else grant.namespace
        parts.append(f"{roles} in {where}")
    services = f" for {', '.join(token.service_names)}" if token.service_names else ""
    return "; ".join(parts) + services


def _end(token: Token) -> str:
    if token.HasField("revoked_at"):
        return f"revoked {when_in_column(token.revoked_at)}"
    return when_in_column(token.expires_at) if token.HasField("expires_at") else "never"
