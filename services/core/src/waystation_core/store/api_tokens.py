"""API tokens. See `ports.store.TokenStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation

from waystation_core.ports.store import (
    AuditedCall,
    StoredToken,
    TokenGrants,
    ValidToken,
    WriteRefused,
)
from waystation_core.store.audit import audited
from waystation_core.store.connections import ConnectionPool, connection_of, fetch, json_text
from waystation_core.store.rows import Row
from waystation_domain.errors import TokenAlreadyExists, TokenNotFound, shown

_COLUMNS = (
    "token_id::text, name, grants, service_names, created_at, created_by, expires_at, revoked_at"
)

_CREATE = f"""
INSERT INTO api_tokens (token_id, name, digest, grants, service_names, created_by, expires_at)
VALUES (%(token_id)s, %(name)s, %(digest)s, %(grants)s::json, %(service_names)s, %(created_by)s,
    now() + make_interval(secs => %(lifetime)s))
RETURNING {_COLUMNS}
"""

# Along the index of its order, also without statistics.
_LIST = f"""
SELECT {_COLUMNS} FROM api_tokens
WHERE (created_at, token_id) < (%(after_time)s, %(after_id)s)
  AND (%(with_ended)s OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())))
ORDER BY created_at DESC, token_id DESC LIMIT %(limit)s
"""

_REVOKE = f"""
UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, now()) WHERE token_id = %(token_id)s
RETURNING {_COLUMNS}
"""

_VALID = """
SELECT digest, name, grants, service_names, extract(epoch FROM expires_at - now())::float8
FROM api_tokens
WHERE digest = ANY(%s) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""

_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


class PostgresTokenStore:
    """Implements `ports.store.TokenStore`. Callers wait for the looks, so they are on the hot pool."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

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
        values = {
            "token_id": token_id,
            "name": name,
            "digest": digest,
            "grants": json_text({each: list(had) for each, had in grants.roles.items()}),
            "service_names": list(grants.service_names),
            "created_by": created_by,
            "lifetime": lifetime_seconds,
        }
        try:
            return await self._changed(_CREATE, values, by)
        except WriteRefused as refused:
            if isinstance(refused.__cause__, UniqueViolation):
                raise TokenAlreadyExists(
                    f"There is a token {shown(name)} already: revoke it, or choose another name.",
                    name=name,
                ) from None
            raise

    async def tokens(
        self, *, with_ended: bool, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[StoredToken]:
        when, which = after or ("infinity", _LAST_ID)
        rows = await fetch(
            self._pool,
            _LIST,
            {"after_time": when, "after_id": which, "with_ended": with_ended, "limit": limit},
        )
        return [_stored(row) for row in rows]

    async def revoke_token(self, token_id: str, *, by: AuditedCall | None = None) -> StoredToken:
        return await self._changed(_REVOKE, {"token_id": token_id}, by)

    async def _changed(
        self, statement: str, values: Mapping[str, Any], by: AuditedCall | None
    ) -> StoredToken:
        """The token that the statement changed, and its entry in the audit log with it."""
        async with connection_of(self._pool) as connection, audited(connection, by) as record:
            row = await (await connection.execute(statement, values)).fetchone()
            if row is None:
                token_id = shown(str(values["token_id"]))
                raise TokenNotFound(
                    f"There is no token {token_id}; `waystation tokens list` shows all.",
                    token_id=token_id,
                )
            await record()
            return _stored(row)

    async def valid_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, ValidToken]:
        rows = await fetch(self._pool, _VALID, (list(digests),))
        return {
            bytes(row[0]): ValidToken(row[1], _grants(row[2], row[3]), seconds=row[4])
            for row in rows
        }


def _stored(row: Row) -> StoredToken:
    return StoredToken(
        token_id=row[0],
        name=row[1],
        grants=_grants(row[2], row[3]),
        created_at=row[4],
        created_by=row[5],
        expires_at=row[6],
        revoked_at=row[7],
    )


def _grants(roles: Mapping[str, Sequence[str]], service_names: Sequence[str]) -> TokenGrants:
    return TokenGrants(
        {namespace: tuple(names) for namespace, names in roles.items()}, tuple(service_names)
    )
