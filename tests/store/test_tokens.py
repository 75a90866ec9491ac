"""API tokens in Postgres: what is stored of them, and which are valid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from waystation_core.ids import new_id
from waystation_core.ports.store import StoredToken, TokenGrants
from waystation_core.store.api_tokens import PostgresTokenStore
from waystation_core.store.connections import connection_of, open_pool
from waystation_domain.errors import TokenAlreadyExists, TokenNotFound

GRANTS = TokenGrants({"default": ("client", "reader"), "*": ("handler",)}, ("claims", "*"))


class Tokens(PostgresTokenStore):
    """With defaults, and a way to move the end of a token."""

    async def make(self, name: str, digest: bytes = b"", **given: Any) -> StoredToken:
        values = {"grants": GRANTS, "created_by": "key:ops", "lifetime_seconds": 60.0, **given}
        return await self.create_token(
            token_id=new_id(), name=name, digest=digest or name.encode(), **values
        )

    async def let_end(self, token_id: str) -> None:
        async with connection_of(self._pool) as connection:
            await connection.execute(
                "UPDATE api_tokens SET expires_at = now() WHERE token_id = %s", (token_id,)
            )


@pytest.fixture
async def tokens(database_url: str) -> AsyncIterator[Tokens]:
    pool = open_pool(database_url, size=2, name="test")
    await pool.open()
    yield Tokens(pool)
    await pool.close()


async def names(tokens: Tokens, **how: Any) -> list[str]:
    found = await tokens.tokens(**{"with_ended": False, "after": None, "limit": 10, **how})
    return [token.name for token in found]


async def test_a_token_comes_back_with_what_it_allows(tokens: Tokens) -> None:
    made = await tokens.make("deploy", b"1" * 32)
    assert (made.name, made.grants, made.created_by) == ("deploy", GRANTS, "key:ops")
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == 60.0
    valid = await tokens.valid_tokens([b"1" * 32, b"2" * 32])
    assert list(valid) == [b"1" * 32]
    found = valid[b"1" * 32]
    assert (found.name, found.grants) == ("deploy", GRANTS)
    assert found.seconds is not None
    assert 0 < found.seconds <= 60
    for_good = await tokens.make("for-good", lifetime_seconds=None)
    assert for_good.expires_at is None
    assert (await tokens.valid_tokens([b"for-good"]))[b"for-good"].seconds is None


async def test_revoked_and_ended_tokens_are_not_valid(tokens: Tokens) -> None:
    revoked, ended, left = [await tokens.make(name) for name in ("revoked", "ended", "left")]
    first = await tokens.revoke_token(revoked.token_id)
    assert first.revoked_at is not None
    assert await tokens.revoke_token(revoked.token_id) == first
    await tokens.let_end(ended.token_id)
    assert list(await tokens.valid_tokens([b"revoked", b"ended", b"left"])) == [b"left"]
    assert await names(tokens) == ["left"]
    assert await names(tokens, with_ended=True) == ["left", "ended", "revoked"]
    assert await names(tokens, after=(left.created_at, left.token_id), with_ended=True) == [
        "ended",
        "revoked",
    ]
    assert await names(tokens, with_ended=True, limit=1) == ["left"]


async def test_a_name_is_one_token_until_that_is_revoked(tokens: Tokens) -> None:
    first = await tokens.make("deploy", b"first")
    with pytest.raises(TokenAlreadyExists):
        await tokens.make("deploy", b"second")
    await tokens.revoke_token(first.token_id)
    await tokens.make("deploy", b"second")
    assert list(await tokens.valid_tokens([b"first", b"second"])) == [b"second"]
    with pytest.raises(TokenNotFound):
        await tokens.revoke_token(new_id())
