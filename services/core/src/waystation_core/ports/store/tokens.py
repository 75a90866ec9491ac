"""TokenStore: API tokens, of which only hashes are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from waystation_core.ports.store.audit import AuditedCall


@dataclass(frozen=True, slots=True)
class TokenGrants:
    """What the holder of a token may do."""

    roles: Mapping[str, tuple[str, ...]]
    """Names of roles by namespace; those under `*` hold in every one."""
    service_names: tuple[str, ...]
    """The services that a handler may act for; `*`: all."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is shown: without its secret and without the hash of it."""

    token_id: str
    name: str
    grants: TokenGrants
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ValidToken:
    """A token that is neither revoked nor over."""

    name: str
    grants: TokenGrants
    seconds: float | None
    """How long it is still valid, by the database's clock; None: until it is revoked."""


class TokenStore(Protocol):
    """API tokens of the whole installation."""

    async def create_token(
        self,
        *,
        token_id: str,
        name: str,
        digest: bytes,
        grants: TokenGrants,
        created_by: str,
        lifetime_seconds: float | None,
        by: AuditedCall | None = None,
    ) -> StoredToken:
        """Stores a token; `digest` is the SHA-256 of its secret. Raises TokenAlreadyExists if one that is not
        revoked has this name."""
        ...

    async def tokens(
        self, *, with_ended: bool, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[StoredToken]:
        """Tokens, the newest first, behind that time of creation and id; without `with_ended` only valid
        ones."""
        ...

    async def revoke_token(self, token_id: str, *, by: AuditedCall | None = None) -> StoredToken:
        """Revokes a token for good; one that is revoked stays as it is. Raises TokenNotFound."""
        ...

    async def valid_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, ValidToken]:
        """The valid ones of the tokens with these hashes, in one look."""
        ...
