"""Signatures of calls, good and bad, that every language must judge alike: `tests/polyglot/identity_vectors.json`.

Made by the code that routers sign with. `python -m support.identity_vectors` in `tests` writes the file again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.signing import key

FILE = Path(__file__).parents[1] / "polyglot" / "identity_vectors.json"
NOW = 1_800_000_000
SERVICE = "parcels"
LEEWAY = 30
VALID = 60


@dataclass(frozen=True)
class Vector:
    """A signature, what the handler knows, and whether it admits the call."""

    name: str
    token: str
    admitted: bool
    now: int = NOW
    service: str = SERVICE
    namespace: str = "default"
    keys: tuple[str, ...] = (key(1).public, key(2).public)


def vectors() -> list[Vector]:
    """All of them."""
    return list(_vectors())


def written() -> str:
    """What the file must hold."""
    return json.dumps([asdict(each) for each in vectors()], indent=1) + "\n"


def _vectors() -> Iterator[Vector]:
    good = key(1).sign(SERVICE, "default", NOW)
    header, claims, signature = good.split(".")
    yield Vector("a router's", good, admitted=True)
    yield Vector("by the second key", key(2).sign(SERVICE, "default", NOW), admitted=True)
    acme = key(1).sign(SERVICE, "acme", NOW)
    yield Vector("of another namespace", acme, admitted=False)
    yield Vector("of this namespace", acme, admitted=True, namespace="acme")
    yield Vector("the last second", good, admitted=True, now=NOW + VALID + LEEWAY - 1)
    yield Vector("expired", good, admitted=False, now=NOW + VALID + LEEWAY + 1)
    yield Vector("a clock behind", good, admitted=True, now=NOW - LEEWAY + 1)
    yield Vector("of the future", good, admitted=False, now=NOW - LEEWAY - 1)
    yield Vector("for another service", good, admitted=False, service="letters")
    yield Vector("by an unknown key", key(3).sign(SERVICE, "default", NOW), admitted=False)
    yield Vector("no key is known", good, admitted=False, keys=(key(4).public,))
    yield Vector("another's claims", _with(claims, good, aud="letters"), admitted=False)
    yield Vector("longer claims", _with(claims, good, exp=NOW + 9_999), admitted=False)
    yield Vector("no issuer of ours", _signed(_claims(iss="somebody")), admitted=False)
    yield Vector("without an end", _signed(_claims(exp=None)), admitted=False)
    yield Vector("without a namespace", _signed(_claims(sub=None)), admitted=False)
    yield Vector("without a service", _signed(_claims(aud=None)), admitted=False)
    yield Vector(
        "an end that is no number", _signed(_claims(exp="1900000000 or later")), admitted=False
    )
    # Signed by a key that is not the one it names.
    forged = _part({"alg": "EdDSA", "kid": key(2).public, "typ": "JWT"})
    yield Vector(
        "another key's name",
        f"{forged}.{claims}.{_sign(3, f'{forged}.{claims}')}",
        admitted=False,
    )
    middle = len(signature) // 2
    swapped = "A" if signature[middle] != "A" else "B"
    bent = signature[:middle] + swapped + signature[middle + 1 :]
    yield Vector("a bent signature", f"{header}.{claims}.{bent}", admitted=False)
    none = _part({"alg": "none", "kid": key(1).public, "typ": "JWT"})
    yield Vector("alg none", f"{none}.{claims}.", admitted=False)
    yield Vector("alg none, signed", f"{none}.{claims}.{signature}", admitted=False)
    # The public key as the secret of another algorithm.
    hs256 = _part({"alg": "HS256", "kid": key(1).public, "typ": "JWT"})
    for name, secret in (
        ("its text", key(1).public.encode()),
        ("its bytes", base64.urlsafe_b64decode(key(1).public + "=")),
    ):
        digest = hmac.digest(secret, f"{hs256}.{claims}".encode(), hashlib.sha256)
        yield Vector(
            f"HS256 with the public key, {name}",
            f"{hs256}.{claims}.{_base64url(digest)}",
            admitted=False,
        )
    yield Vector("nothing", "", admitted=False)
    yield Vector("two parts", f"{header}.{claims}", admitted=False)
    yield Vector("four parts", f"{good}.{signature}", admitted=False)
    yield Vector("no JSON", f"AAAA.AAAA.{signature}", admitted=False)
    yield Vector("a list", f"{header}.{_base64url(b'[1]')}.{signature}", admitted=False)


def _claims(**different: object) -> dict[str, object]:
    claims = {
        "iss": "waystation",
        "aud": SERVICE,
        "sub": "default",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + VALID,
    }
    return {name: value for name, value in {**claims, **different}.items() if value is not None}


def _signed(claims: dict[str, object]) -> str:
    signed = f"{_part({'alg': 'EdDSA', 'kid': key(1).public, 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_sign(1, signed)}"


def _with(claims: str, good: str, **different: object) -> str:
    """The token with other claims, and the old signature."""
    known = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return good.replace(claims, _part({**known, **different}))


def _sign(number: int, text: str) -> str:
    return _base64url(key(number).private.sign(text.encode()))


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    FILE.write_text(written())
