"""JWTs of an issuer, such as a company's identity provider: PyJWT verifies them, with the issuer's keys.

What a caller may do comes from a claim: a list of `namespace:role`, where the namespace `*` means every one. Entries
of another form belong to somebody else, and grant nothing here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import jwt

from waystation_core.identity.authenticator import Identified
from waystation_core.identity.jwks import IssuerKey, KeySet, keys_of_file, keys_of_url
from waystation_core.identity.jwt_settings import JwtSettings
from waystation_core.identity.principal import EVERY, GRANTABLE, Principal
from waystation_core.rpc.roles import Role
from waystation_domain.namespaces import check_namespace_name

LEEWAY_SECONDS = 60.0
"""How far the issuer's clock may be from this server's."""

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_REQUIRED = ["iss", "aud", "exp", "nbf", "sub"]
_ROLES = {role.value: role for role in GRANTABLE}
_MOST_ENTRIES = 1_000
_LONGEST_SUBJECT = 200


class JwtTokens:
    """The tokens of one issuer, as one way to prove who is calling."""

    def __init__(self, settings: JwtSettings, keys: KeySet | None = None) -> None:
        """`keys`: by default those that the settings name."""
        self._settings = settings
        if keys is None:
            keys = (
                keys_of_file(settings.jwks_file)
                if settings.jwks_file is not None
                else keys_of_url(settings.jwks_url)
            )
        self._keys = keys

    def recognises(self, credential: str) -> bool:
        return _FORM.fullmatch(credential) is not None

    async def identify(self, credential: str) -> Identified | str:
        try:
            header = jwt.get_unverified_header(credential)
        except (jwt.PyJWTError, RecursionError) as error:
            return f"the JWT cannot be read: {error}"
        algorithm, kid = header.get("alg"), header.get("kid")
        # Before the key is looked for: what nobody here would take costs no reading of keys.
        if algorithm not in self._settings.algorithms:
            return f"the JWT is signed with {algorithm!r}, which WAYSTATION_JWT_ALGORITHMS has not"
        if kid is not None and not isinstance(kid, str):
            return "the `kid` of the JWT is not a text"
        key = await self._keys.key(kid)
        if key is None:
            return f"the JWT is signed with a key that the issuer's set has not: {kid!r}"
        if algorithm not in key.algorithms:
            return f"the key {kid!r} is not one for {algorithm}"
        try:
            claims = self._verified(credential, key, algorithm)
            ends_at = int(claims["exp"]) + LEEWAY_SECONDS
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            return f"the JWT is not valid: {error}"
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            return "the `sub` of the JWT is not a name"
        principal = Principal(
            f"jwt:{subject[:_LONGEST_SUBJECT]}",
            grants_of(claim(claims, self._settings.roles_claim)),
            services_of(claim(claims, self._settings.services_claim)),
        )
        return Identified(principal, max(0.0, ends_at - time.time()))

    def _verified(self, credential: str, key: IssuerKey, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            credential,
            key.key,
            algorithms=[algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
        return claims


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim with this name; else what stands at the names between its dots, such as `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def grants_of(value: Any) -> dict[str, frozenset[Role]]:
    """Roles by namespace, from a list of `namespace:role`."""
    found: dict[str, set[Role]] = {}
    for entry in _texts(value):
        namespace, _, name = entry.rpartition(":")
        if name in _ROLES and _may_be_named(namespace):
            found.setdefault(namespace, set()).add(_ROLES[name])
    return {namespace: frozenset(roles) for namespace, roles in found.items()}


def services_of(value: Any) -> frozenset[str]:
    """Names of services, from a list or one text."""
    return frozenset(_texts(value))


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values[:_MOST_ENTRIES] if isinstance(each, str) and each]


def _may_be_named(namespace: str) -> bool:
    try:
        return namespace == EVERY or bool(check_namespace_name(namespace))
    except ValueError:
        return False
