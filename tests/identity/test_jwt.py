"""JWTs: forged ones, ones for others and ones out of their time are refused, and the issuer may replace its keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.issuer import (
    AUDIENCE,
    ISSUER,
    Issuer,
    claims_of,
    private_key,
    unsigned,
)
from support.waiting import eventually

from waystation_core.identity.authenticator import Identified
from waystation_core.identity.jwks import (
    BETWEEN_SECONDS,
    MAX_BYTES,
    OLD_SECONDS,
    BadJwks,
    KeySet,
    keys_of_file,
    keys_of_url,
    parse_jwks,
)
from waystation_core.identity.jwt_settings import ALGORITHMS, JwtSettings
from waystation_core.identity.jwt_tokens import JwtTokens
from waystation_core.rpc.roles import Role
from waystation_domain.errors import StoreUnavailable

SETTINGS = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url="https://issuer.example/keys")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def tokens_of(issuer: Issuer, clock: Clock | None = None, **settings: Any) -> JwtTokens:
    keys = KeySet(issuer.read, "test", clock=clock or Clock())
    return JwtTokens(JwtSettings(**{"issuer": ISSUER, "audience": AUDIENCE, **settings}), keys)


async def who(tokens: JwtTokens, token: str) -> str:
    """The name of the caller; or why it is refused."""
    assert tokens.recognises(token)
    found = await tokens.identify(token)
    return found.principal.name if isinstance(found, Identified) else found


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_token_of_the_issuer_says_who_is_calling(algorithm: str) -> None:
    issuer = Issuer(first=algorithm)
    found = await tokens_of(issuer).identify(
        issuer.token(permissions=["default:client", "*:reader"], service_names=["claims"])
    )
    assert isinstance(found, Identified)
    assert found.principal.name == "jwt:ada"
    assert found.principal.grants == {
        "default": frozenset({Role.CLIENT}),
        "*": frozenset({Role.READER}),
    }
    assert found.principal.service_names == {"claims"}
    assert found.seconds is not None
    # Until its end, and the minute by which clocks may differ.
    assert 350 < found.seconds <= 360


async def test_a_token_without_a_signature_is_refused() -> None:
    tokens = tokens_of(Issuer())
    for algorithm in ("none", "None", "NONE", "", None, 7):
        token = unsigned({"alg": algorithm, "kid": "first", "typ": "JWT"}, claims_of())
        assert "signed with" in await who(tokens, token) or "read" in await who(tokens, token)
    right = Issuer().token()
    assert "not valid" in await who(tokens, right.rpartition(".")[0] + ".")


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    issuer = Issuer(first="RS256")
    tokens = tokens_of(issuer)
    for algorithm in ("HS256", "RS256"):
        unsealed = unsigned({"alg": algorithm, "kid": "first", "typ": "JWT"}, claims_of())
        signed = unsealed.rpartition(".")[0]
        seal = hmac.digest(issuer.pem("first"), signed.encode(), hashlib.sha256)
        header, claims, _ = unsealed.split(".")
        forged = f"{header}.{claims}.{unsigned({}, {}, seal).rpartition('.')[2]}"
        refused = await who(tokens, forged)
        assert "signed with" in refused or "not valid" in refused


@pytest.mark.parametrize("name", ["HS256", "HS512", "none", ""])
def test_no_setting_takes_what_is_not_asymmetric(name: str) -> None:
    settings = JwtSettings(
        issuer=ISSUER, audience=AUDIENCE, jwks_url="https://x", algorithms=(name,)
    )
    assert [field for field, _ in settings.faults()] == ["jwt_algorithms"]
    assert not [each for each in ALGORITHMS if each.startswith("HS")]


async def test_an_algorithm_that_is_not_in_the_settings_is_refused() -> None:
    issuer = Issuer()
    tokens = tokens_of(issuer, algorithms=("RS256",))
    assert "signed with 'ES256'" in await who(tokens, issuer.token())
    assert issuer.reads == 0


async def test_a_key_for_one_algorithm_is_used_for_no_other() -> None:
    issuer = Issuer(first="RS256")
    tokens = tokens_of(issuer, algorithms=("RS256", "PS256"))
    stands = await KeySet(issuer.read, "test").key("first")
    assert stands is not None
    token = jwt.encode(
        claims_of(), private_key("first", "RS256"), algorithm="PS256", headers={"kid": "first"}
    )
    assert await who(tokens, token) == "jwt:ada"
    issuer.jwks = lambda: Issuer(first="RS256").jwks(alg="RS256")  # type: ignore[method-assign]
    named = tokens_of(issuer, algorithms=("RS256", "PS256"))
    assert "not one for PS256" in await who(named, token)


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "billing"},
        {"aud": ["billing", "mail"]},
        {"exp": NOW - 61},
        {"nbf": NOW + 3_600},
        {"iat": NOW + 3_600},
        {"sub": ""},
        {"sub": 7},
        {"exp": "soon"},
        *({"without": name} for name in ("iss", "aud", "exp", "nbf", "sub")),
    ],
)
async def test_a_token_for_others_or_out_of_its_time_is_refused(claims: Any) -> None:
    issuer = Issuer()
    refused = await who(tokens_of(issuer), issuer.token(**claims))
    assert refused.startswith(("the JWT is not valid", "the `sub`"))


@pytest.mark.parametrize(("claim", "ahead"), [("exp", -30), ("nbf", 30)])
async def test_clocks_may_differ_by_a_minute(claim: str, ahead: int) -> None:
    issuer = Issuer()
    token = issuer.token(**{claim: int(time.time()) + ahead})
    assert await who(tokens_of(issuer), token) == "jwt:ada"


@pytest.mark.parametrize(
    "token", ["a.b.c", "..", "a.b.", unsigned({}, {}), f"{'W' * 9_000}.e30.x", "WzE.e30.x"]
)
async def test_what_only_looks_like_a_token_is_refused(token: str) -> None:
    tokens = tokens_of(Issuer())
    assert not tokens.recognises(token) or isinstance(await tokens.identify(token), str)


async def test_deep_json_is_refused() -> None:
    deep = unsigned({"alg": "ES256", "kid": "first"}, claims_of())
    bombs = ["[" * 10_000, '{"a":' * 2_000]
    for bomb in bombs:
        part = unsigned({}, {}, bomb.encode()).rpartition(".")[2]
        assert isinstance(await tokens_of(Issuer()).identify(f"{part}.e30.x"), str)
        header = deep.partition(".")[0]
        assert isinstance(await tokens_of(Issuer()).identify(f"{header}.{part}.x"), str)


@pytest.mark.parametrize(
    ("value", "grants"),
    [
        (["default:client", "default:reader"], {"default": {Role.CLIENT, Role.READER}}),
        ("default:client", {"default": {Role.CLIENT}}),
        (["*:admin"], {"*": {Role.ADMIN}}),
        (["default:emperor", "default:router", "client", "Default:client", ":client", 7], {}),
        (None, {}),
        ({"default": "client"}, {}),
    ],
)
async def test_only_roles_that_exist_are_granted(value: Any, grants: Any) -> None:
    issuer = Issuer()
    found = await tokens_of(issuer).identify(issuer.token(permissions=value))
    assert isinstance(found, Identified)
    assert found.principal.grants == grants


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("roles", {"roles": ["default:client"]}),
        ("https://acme.example/roles", {"https://acme.example/roles": ["default:client"]}),
        ("realm.waystation.roles", {"realm": {"waystation": {"roles": ["default:client"]}}}),
    ],
)
async def test_the_claim_with_the_roles_has_the_name_that_the_issuer_gives_it(
    path: str, claims: Any
) -> None:
    issuer = Issuer()
    found = await tokens_of(issuer, roles_claim=path).identify(
        issuer.token(without="permissions", **claims)
    )
    assert isinstance(found, Identified)
    assert found.principal.grants == {"default": {Role.CLIENT}}


# --- the issuer's keys ---------------------------------------------------------------------


async def test_a_new_key_is_found_at_once_and_the_old_one_goes_on() -> None:
    issuer, clock = Issuer(), Clock()
    tokens = tokens_of(issuer, clock)
    assert await who(tokens, issuer.token("first")) == "jwt:ada"
    issuer.kids = {"first": "ES256", "second": "ES256"}
    clock.now += BETWEEN_SECONDS
    several = [who(tokens, issuer.token("second")) for _ in range(20)]
    assert set(await asyncio.gather(*several)) == {"jwt:ada"}
    assert issuer.reads == 2
    assert await who(tokens, issuer.token("first")) == "jwt:ada"


async def test_a_flood_of_unknown_keys_has_the_set_read_every_ten_seconds() -> None:
    issuer, clock = Issuer(), Clock()
    tokens = tokens_of(issuer, clock)
    assert await who(tokens, issuer.token()) == "jwt:ada"
    forged = [unsigned({"alg": "ES256", "kid": f"made-up-{n}"}, claims_of()) for n in range(200)]
    for seconds in range(1, 31):
        clock.now += 1.0
        refused = await asyncio.gather(*(who(tokens, each) for each in forged))
        assert all("has not" in each for each in refused)
        assert issuer.reads == 1 + seconds // 10
    assert BETWEEN_SECONDS >= 10
    # And those who have a right one go on.
    assert await who(tokens, issuer.token()) == "jwt:ada"


async def test_a_withdrawn_key_is_refused_once_the_set_is_old() -> None:
    issuer, clock = Issuer(first="ES256", second="ES256"), Clock()
    tokens = tokens_of(issuer, clock)
    assert await who(tokens, issuer.token("first")) == "jwt:ada"
    token = issuer.token("first")
    issuer.kids = {"second": "ES256"}
    clock.now += OLD_SECONDS
    # This call does not wait for the reading that it begins.
    assert await who(tokens, issuer.token("second")) == "jwt:ada"
    await _until_read(issuer, 2)
    assert "has not" in await who(tokens, token)


async def _until_read(issuer: Issuer, times: int) -> None:
    async def reads() -> int:
        return issuer.reads

    # The answer of a read in memory is in use before the next look.
    await eventually(reads, until=lambda read: read >= times)


async def test_an_issuer_that_is_away_leaves_its_keys_in_use() -> None:
    issuer, clock = Issuer(), Clock()
    tokens = tokens_of(issuer, clock)
    assert await who(tokens, issuer.token()) == "jwt:ada"
    issuer.away = True
    clock.now += OLD_SECONDS
    assert await who(tokens, issuer.token()) == "jwt:ada"
    await _until_read(issuer, 2)
    assert await who(tokens, issuer.token()) == "jwt:ada"


async def test_without_any_key_the_answer_is_to_come_again() -> None:
    issuer, clock = Issuer(), Clock()
    issuer.away = True
    tokens = tokens_of(issuer, clock)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await who(tokens, issuer.token())
    assert issuer.reads == 1
    issuer.away = False
    clock.now += BETWEEN_SECONDS
    assert await who(tokens, issuer.token()) == "jwt:ada"


async def test_a_token_without_a_kid_is_of_the_only_key() -> None:
    issuer = Issuer()
    token = jwt.encode(claims_of(), private_key("first", "ES256"), algorithm="ES256")
    assert await who(tokens_of(issuer), token) == "jwt:ada"
    assert "has not: None" in await who(tokens_of(Issuer(first="ES256", second="ES256")), token)


def test_keys_that_could_sign_or_are_for_something_else_are_not_taken() -> None:
    issuer = Issuer()
    private = {**issuer.jwk("first", "ES256"), "d": "AA"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "first", "alg": "HS256"}
    short = Issuer().jwk("short", "RS256") | {"n": "w" * 170 + "Q"}
    for entry in (
        secret,
        {**issuer.jwk("first", "ES256"), "use": "enc"},
        {**issuer.jwk("first", "ES256"), "alg": "HS256"},
        private,
        short,
        {"kty": ["RSA"]},
        7,
    ):
        with pytest.raises(BadJwks):
            parse_jwks(jsons({"keys": [entry]}))
    for text in (b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000):
        with pytest.raises(BadJwks):
            parse_jwks(text)


def jsons(value: Any) -> bytes:
    return json.dumps(value).encode()


async def test_a_file_of_keys_is_followed(tmp_path: Path) -> None:
    issuer = Issuer()
    file = tmp_path / "jwks.json"
    file.write_bytes(issuer.jwks())
    tokens = JwtTokens(SETTINGS, keys_of_file(file))
    assert await who(tokens, issuer.token("first")) == "jwt:ada"
    token = issuer.token("first")
    issuer.kids = {"second": "ES256"}
    new = tmp_path / "new"
    new.write_bytes(issuer.jwks())
    new.replace(file)
    assert await who(tokens, issuer.token("second")) == "jwt:ada"
    assert "has not" in await who(tokens, token)
    file.write_bytes(b"broken")
    assert await who(tokens, issuer.token("second")) == "jwt:ada"


@pytest.fixture
def published() -> Iterator[dict[str, Any]]:
    """A web server with what is put into it; its address is at `url`."""
    pages: dict[str, Any] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            if isinstance(body, str):
                self.send_response(302)
                self.send_header("Location", body)
                self.end_headers()
                return
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    pages["url"] = f"http://127.0.0.1:{server.server_port}"
    yield pages
    server.shutdown()
    thread.join()
    server.server_close()


async def test_keys_are_fetched_from_the_address_of_the_settings_and_from_no_other(
    published: dict[str, Any],
) -> None:
    issuer = Issuer()
    published["/keys"] = issuer.jwks()
    published["/elsewhere"] = f"{published['url']}/keys"
    published["/large"] = b" " * (MAX_BYTES + 1)
    tokens = JwtTokens(SETTINGS, keys_of_url(f"{published['url']}/keys"))
    assert await who(tokens, issuer.token()) == "jwt:ada"
    for path in ("/elsewhere", "/large", "/none-such"):
        with pytest.raises(StoreUnavailable):
            await who(JwtTokens(SETTINGS, keys_of_url(published["url"] + path)), issuer.token())


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"issuer": ISSUER}, ["jwt_audience", "jwt_jwks_url"]),
        ({"audience": AUDIENCE, "jwks_url": "https://x/keys"}, ["jwt_issuer"]),
        ({"issuer": ISSUER, "audience": "a", "jwks_url": "http://x/keys"}, ["jwt_jwks_url"]),
        ({"issuer": ISSUER, "audience": "a", "jwks_url": "file:///keys"}, ["jwt_jwks_url"]),
        ({"issuer": ISSUER, "audience": "a", "jwks_url": "http://localhost/keys"}, []),
        (
            {"issuer": ISSUER, "audience": "a", "jwks_url": "https://x", "jwks_file": Path("x")},
            ["jwt_jwks_url"],
        ),
        ({}, []),
    ],
)
def test_settings_that_would_take_too_much_are_refused(given: Any, fields: list[str]) -> None:
    assert [field for field, _ in JwtSettings(**given).faults()] == fields
