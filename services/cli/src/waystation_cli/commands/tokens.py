"""tokens create, list, revoke: API tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from waystation.v1.token_pb2 import Role, RoleGrant, Token
from waystation.v1.token_service_pb2 import (
    CreateTokenRequest,
    CreateTokenResponse,
    ListTokensRequest,
    RevokeTokenRequest,
    RevokeTokenResponse,
)
from waystation_cli import arguments
from waystation_cli.commands import several
from waystation_cli.commands.pages import Limit, Whole, gather
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, Api, connected
from waystation_cli.failures import CommandFailed
from waystation_cli.output import AsJson
from waystation_cli.render import message_json
from waystation_cli.render import tokens as told

Roles = Annotated[
    list[str],
    typer.Option(
        "--role",
        metavar="ROLE",
        help="reader, client, handler, operator or admin; may be repeated.",
    ),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option(
        "--namespace",
        metavar="NAMESPACE",
        help="Where it has the roles, by default `default`; * for every one; may be repeated.",
    ),
]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="SERVICE",
        help="A service that a handler may act for; may be repeated.",
    ),
]


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    role: Roles,
    namespace: Namespaces = None,
    service: Services = None,
    lifetime: Annotated[
        str, typer.Option(metavar="SPAN", help="How long it is valid, such as 12h or 90d.")
    ] = "90d",
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Make an API token. Its secret is shown once."""
    roles = [_role(each) for each in role]
    request = CreateTokenRequest(
        name=name,
        grants=[
            RoleGrant(namespace=each, roles=roles)
            for each in dict.fromkeys(namespace or ["default"])
        ],
        service_names=service or [],
        lifetime=arguments.duration(arguments.seconds(lifetime)),
    )
    with connected(address, as_json) as api:
        response: CreateTokenResponse = api.tokens.CreateToken(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response)
    else:
        told.print_created(response)


def list_tokens(
    ended: Annotated[bool, typer.Option("--ended", help="Revoked and expired ones, too.")] = False,
    limit: Limit = 1000,
    whole: Whole = False,
    utc: arguments.Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List API tokens, newest first."""
    with connected(address, as_json) as api:
        tokens, more = _all(api, ended, None if whole else limit)
    if as_json:
        message_json.print_items(tokens, more)
    else:
        told.print_tokens(tokens, more)


def revoke(
    token: Annotated[
        list[str],
        typer.Argument(metavar="TOKEN", help="Its name or its id; several may be given."),
    ],
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Revoke API tokens permanently.

    Every server refuses them within 30 s.
    """
    with connected(address, as_json) as api:

        def end(token_id: str) -> RevokeTokenResponse:
            request = RevokeTokenRequest(token_id=token_id)
            response: RevokeTokenResponse = api.tokens.RevokeToken(request, timeout=CALL_SECONDS)
            return response

        several.carry_out(token, lambda each: _meant(api, each), end, told.print_revoked, as_json)


def _role(name: str) -> Any:
    """The number of the role, as messages have it."""
    found = Role.DESCRIPTOR.values_by_name.get(f"ROLE_{name.upper()}")
    if found is None or not found.number:
        known = [each.name.removeprefix("ROLE_").lower() for each in Role.DESCRIPTOR.values[1:]]
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}", param_hint="--role")
    return found.number


def _all(api: Api, ended: bool, limit: int | None) -> tuple[list[Token], bool]:
    return gather(
        lambda page_size, page_token: api.tokens.ListTokens(
            ListTokensRequest(page_size=page_size, page_token=page_token, with_ended=ended),
            timeout=CALL_SECONDS,
        ),
        lambda page: page.tokens,
        limit,
    )


def _meant(api: Api, given: str) -> str:
    """The id of the token with this name or id."""
    tokens, _ = _all(api, True, None)
    open_ones = [each for each in tokens if not each.HasField("revoked_at")]
    for each in (*open_ones, *tokens):
        if given in (each.name, each.token_id):
            return each.token_id
    raise CommandFailed(
        code="NOT_FOUND",
        reason="TOKEN_NOT_FOUND",
        message=f"There is no token {given}.",
        hint="`waystation tokens list` shows all.",
        metadata={"token": given},
    )
