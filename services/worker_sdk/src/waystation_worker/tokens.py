"""API tokens, as an admin of every namespace sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from waystation.v1 import token_pb2
from waystation.v1 import token_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of, texts
from waystation_worker.pages import items_of
from waystation_worker.times import DAY, Span, span, time_of
from waystation_worker.workflows import enum_name

_LONGEST = 3_660 * DAY


@dataclass(frozen=True, slots=True)
class Token:
    """An API token. `grants` are roles by namespace; those under `*` hold in every one. `expires_at` None:
    never; `revoked_at` None: it was not revoked. `secret` is what its holder sends, and known only to who
    created it."""

    token_id: str
    name: str
    grants: Mapping[str, tuple[str, ...]]
    service_names: tuple[str, ...] = ()
    created_at: datetime | None = None
    created_by: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    secret: str = field(default="", repr=False)


class Tokens:
    """`client.tokens`: makes, lists and revokes API tokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        name: str,
        grants: Mapping[str, Iterable[str]],
        *,
        service_names: Iterable[str] = (),
        lifetime: Span | None = None,
    ) -> Token:
        """A new token; its `secret` can be had only here.

        `grants`: names of roles (READER, CLIENT, HANDLER, OPERATOR, ADMIN) by namespace, such as
        `{"default": ["CLIENT"]}`. A HANDLER needs `service_names`. `lifetime`: 90 days by default, at most 3,660.
        """
        request = message_of(
            pb.CreateTokenRequest,
            name=name,
            service_names=texts(service_names, "service_names"),
            grants=_grants(grants),
        )
        if lifetime is not None:
            request.lifetime.FromTimedelta(span(lifetime, "lifetime", _LONGEST))
        response: pb.CreateTokenResponse = await self._connection.call(
            self._connection.tokens.CreateToken, request
        )
        return _token(response.token, response.secret)

    def list(self, *, with_ended: bool = False, limit: int | None = None) -> AsyncIterator[Token]:
        """The valid tokens, the newest first; `with_ended` has revoked and expired ones too."""
        return items_of(
            self._connection,
            lambda: self._connection.tokens.ListTokens,
            message_of(pb.ListTokensRequest, with_ended=with_ended),
            lambda page: map(_token, page.tokens),
            limit,
        )

    async def revoke(self, token_id: str) -> Token:
        """Revokes a token permanently: every server refuses it within 30 s. No error if it is revoked already."""
        response: pb.RevokeTokenResponse = await self._connection.call(
            self._connection.tokens.RevokeToken,
            message_of(pb.RevokeTokenRequest, token_id=token_id),
        )
        return _token(response.token)


def _grants(grants: Mapping[str, Iterable[str]]) -> list[token_pb2.RoleGrant]:
    """Raises TypeError, and ValueError for a role that this release does not know."""
    if not isinstance(grants, Mapping):
        raise TypeError(f"grants must be a mapping, not {type(grants).__name__}")
    return [
        message_of(
            token_pb2.RoleGrant,
            namespace=namespace,
            roles=[_role(name) for name in texts(roles, f"grants of {namespace}")],
        )
        for namespace, roles in grants.items()
    ]


def _role(name: str) -> token_pb2.Role:
    try:
        number: Any = token_pb2.Role.Value(f"ROLE_{name.upper()}")
    except ValueError:
        known = ", ".join(each.removeprefix("ROLE_") for each in token_pb2.Role.keys()[1:])
        raise ValueError(f"{name!r} is not a role: they are {known}") from None
    return cast(token_pb2.Role, number)


def _token(message: token_pb2.Token, secret: str = "") -> Token:
    return Token(
        token_id=message.token_id,
        name=message.name,
        grants={
            grant.namespace: tuple(enum_name(token_pb2.Role, role, "ROLE_") for role in grant.roles)
            for grant in message.grants
        },
        service_names=tuple(message.service_names),
        created_at=time_of(message, "created_at"),
        created_by=message.created_by,
        expires_at=time_of(message, "expires_at"),
        revoked_at=time_of(message, "revoked_at"),
        secret=secret,
    )
