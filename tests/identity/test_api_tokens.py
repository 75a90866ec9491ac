"""API tokens as a way to prove who is calling: how soon a revoked one is refused, what an outage of the store does,
and what a flood costs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from waystation_core.identity.access import _LOOKS, KEPT_SECONDS, Access
from waystation_core.identity.api_tokens import (
    TRUSTED_SECONDS,
    ApiTokens,
    digest_of_secret,
    new_secret,
)
from waystation_core.identity.authenticator import Identified
from waystation_core.ports.store import StoredToken, TokenGrants, ValidToken
from waystation_core.rpc.roles import Role
from waystation_domain.errors import StoreUnavailable, Unauthenticated


class Store:
    """Tokens in memory, behind a door that the test opens and closes."""

    def __init__(self) -> None:
        self.valid: dict[bytes, ValidToken] = {}
        self.away = False
        self.looks: list[int] = []
        self.door = asyncio.Event()
        self.door.set()

    def add(self, *, seconds: float | None = None, role: str = "client") -> str:
        secret = new_secret()
        grants = TokenGrants({"default": (role,)}, ())
        self.valid[digest_of_secret(secret)] = ValidToken("deploy", grants, seconds)
        return secret

    async def valid_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, ValidToken]:
        self.looks.append(len(digests))
        await self.door.wait()
        if self.away:
            raise StoreUnavailable("It is away.")
        return {digest: self.valid[digest] for digest in digests if digest in self.valid}

    async def create_token(self, **what: Any) -> StoredToken:
        raise NotImplementedError

    async def tokens(self, **which: Any) -> Sequence[StoredToken]:
        raise NotImplementedError

    async def revoke_token(self, token_id: str, **by: Any) -> StoredToken:
        raise NotImplementedError


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Call:
    """The context of a call with a token."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._secret}"),)

    def peer(self) -> str:
        return "ipv4:10.0.0.7:1234"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store() -> Store:
    return Store()


async def test_a_token_is_its_holder_with_the_roles_of_its_row(store: Store) -> None:
    secret = store.add(seconds=60.0)
    found = await ApiTokens(store).identify(secret)
    assert isinstance(found, Identified)
    assert found.principal.name == "token:deploy"
    assert found.principal.grants == {"default": frozenset({Role.CLIENT})}
    assert found.seconds == 60.0


async def test_a_role_of_a_later_release_grants_nothing(store: Store) -> None:
    found = await ApiTokens(store).identify(store.add(role="emperor"))
    assert isinstance(found, Identified)
    assert found.principal.grants == {"default": frozenset()}


@pytest.mark.parametrize("secret", ["wst_", "wst_x", f"wst_{'a' * 44}", f"wst_{'%' * 43}"])
async def test_what_has_not_the_form_of_a_token_is_not_looked_up(secret: str, store: Store) -> None:
    assert isinstance(await ApiTokens(store).identify(secret), str)
    assert store.looks == []


async def test_a_revoked_token_is_refused_within_thirty_seconds(store: Store, clock: Clock) -> None:
    secret = store.add()
    access = Access([ApiTokens(store, clock=clock)], clock=clock)
    assert (await access.identify("/m", Call(secret))).name == "token:deploy"
    store.valid.clear()
    clock.now += KEPT_SECONDS - 0.1
    assert (await access.identify("/m", Call(secret))).name == "token:deploy"
    clock.now += 0.1
    assert KEPT_SECONDS < 30
    # A stream is looked at so often that an answer which another call renewed just now is old at the next look.
    assert KEPT_SECONDS + KEPT_SECONDS / _LOOKS <= 30
    with pytest.raises(Unauthenticated):
        await access.identify("/m", Call(secret))
    # And stays so, though the store goes away.
    store.away = True
    with pytest.raises(StoreUnavailable):
        await access.identify("/m", Call(secret))


async def test_a_token_ends_when_its_row_says_so_without_a_look(store: Store, clock: Clock) -> None:
    secret = store.add(seconds=5.0)
    access = Access([ApiTokens(store, clock=clock)], clock=clock)
    await access.identify("/m", Call(secret))
    clock.now += 5.0
    store.away = True
    with pytest.raises(Unauthenticated):
        await access.identify("/m", Call(secret))


async def test_a_known_token_goes_on_while_the_store_is_away_but_not_for_ever(
    store: Store, clock: Clock
) -> None:
    secret = store.add()
    access = Access([ApiTokens(store, clock=clock)], clock=clock)
    await access.identify("/m", Call(secret))
    store.away = True
    clock.now += TRUSTED_SECONDS - 0.1
    assert (await access.identify("/m", Call(secret))).name == "token:deploy"
    # Soon asked again: an outage is not a time without rules.
    clock.now += 3.0
    with pytest.raises(StoreUnavailable):
        await access.identify("/m", Call(secret))
    store.away = False
    assert (await access.identify("/m", Call(secret))).name == "token:deploy"


async def test_an_unknown_token_is_not_let_in_while_the_store_is_away(store: Store) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        await ApiTokens(store).identify(new_secret())


async def test_looks_at_the_same_time_are_one_and_a_flood_is_two(store: Store) -> None:
    tokens = ApiTokens(store)
    secret = store.add()
    store.door.clear()
    several = [asyncio.create_task(tokens.identify(secret)) for _ in range(50)]
    await asyncio.sleep(0)
    flood = [asyncio.create_task(tokens.identify(new_secret())) for _ in range(400)]
    await asyncio.sleep(0)
    store.door.set()
    found = await asyncio.gather(*several)
    assert {each.principal.name for each in found if isinstance(each, Identified)} == {
        "token:deploy"
    }
    assert all(isinstance(each, str) for each in await asyncio.gather(*flood))
    assert store.looks == [1, 400]


async def test_who_hangs_up_does_not_take_the_answer_from_others(store: Store) -> None:
    tokens = ApiTokens(store)
    secret = store.add()
    store.door.clear()
    first, second = [asyncio.create_task(tokens.identify(secret)) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    store.door.set()
    assert isinstance(await second, Identified)
