"""Roles by namespace, between messages and the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from waystation.v1 import token_pb2
from waystation_api.requests import check_namespace
from waystation_conversion import set_timestamp
from waystation_core.identity.principal import EVERY
from waystation_core.ports.store import StoredToken, TokenGrants
from waystation_core.rpc.roles import Role
from waystation_domain import limits
from waystation_domain.errors import InvalidField

MAX_GRANTS = 1_000
MAX_ROLES = 10
MAX_SERVICE_NAMES = 1_000

_ROLES = {
    token_pb2.ROLE_READER: Role.READER,
    token_pb2.ROLE_CLIENT: Role.CLIENT,
    token_pb2.ROLE_HANDLER: Role.HANDLER,
    token_pb2.ROLE_OPERATOR: Role.OPERATOR,
    token_pb2.ROLE_ADMIN: Role.ADMIN,
}
_NUMBERS = {role.value: number for number, role in _ROLES.items()}


def grants_from_proto(
    grants: Sequence[token_pb2.RoleGrant], service_names: Iterable[str]
) -> TokenGrants:
    """What a token is to allow. Raises InvalidField, InvalidId, NamespaceNotFound."""
    _check_number(len(grants), "grants", MAX_GRANTS)
    roles: dict[str, tuple[str, ...]] = {}
    for number, grant in enumerate(grants):
        field = f"grants[{number}]"
        if grant.namespace in roles:
            raise InvalidField(
                f"{field} has the namespace of another grant. Put their roles together.",
                field=f"{field}.namespace",
            )
        if not grant.namespace:
            raise InvalidField(
                f"{field}.namespace is missing. Name one, or `*` for every one.",
                field=f"{field}.namespace",
            )
        if grant.namespace != EVERY:
            check_namespace(grant.namespace)
        roles[grant.namespace] = _roles(grant.roles, f"{field}.roles")
    names = list(dict.fromkeys(service_names))
    handler = any(Role.HANDLER.value in each for each in roles.values())
    if handler != bool(names):
        needed = (
            "is missing. A handler needs" if handler else "must be empty without HANDLER, as it is"
        )
        raise InvalidField(
            f"service_names {needed} the names of the services that it may act for.",
            field="service_names",
        )
    if names:
        _check_number(len(names), "service_names", MAX_SERVICE_NAMES)
    for name in names:
        if name != EVERY:
            limits.check_id(name, "service_names")
    return TokenGrants(roles, tuple(names))


def _roles(numbers: Sequence[token_pb2.Role], field: str) -> tuple[str, ...]:
    _check_number(len(numbers), field, MAX_ROLES)
    for number in numbers:
        if number not in _ROLES:
            raise InvalidField(
                f"{field} has a role that does not exist here: {number}. The roles are "
                f"{', '.join(role.name for role in _ROLES.values())}.",
                field=field,
            )
    return tuple(dict.fromkeys(_ROLES[number].value for number in numbers))


def _check_number(number: int, field: str, most: int) -> None:
    if not 1 <= number <= most:
        raise InvalidField(
            f"{field} has {number:,} entries; it needs 1 to {most:,}.", field=field, limit=str(most)
        )


def token_to_proto(token: StoredToken) -> token_pb2.Token:
    """The token as it is shown."""
    message = token_pb2.Token(
        token_id=token.token_id,
        name=token.name,
        service_names=token.grants.service_names,
        created_by=token.created_by,
    )
    for namespace, names in token.grants.roles.items():
        message.grants.add(
            namespace=namespace, roles=[_NUMBERS[name] for name in names if name in _NUMBERS]
        )
    set_timestamp(message.created_at, token.created_at)
    set_timestamp(message.expires_at, token.expires_at)
    set_timestamp(message.revoked_at, token.revoked_at)
    return message
