"""An issuer of JWTs: its keys, the set that it publishes, and tokens, right ones and forged ones."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "waystation"


@cache
def private_key(kid: str, algorithm: str, bits: int = 2048) -> Any:
    """One for each name, as an RSA key takes a while to make."""
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, bits)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else _ed25519()


def _ed25519() -> Any:
    return ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """Publishes the keys in `kids`, each with its algorithm."""

    def __init__(self, **kids: str) -> None:
        self.kids = kids or {"first": "ES256"}
        self.reads = 0
        self.away = False

    async def read(self) -> bytes:
        """The set, as a server would get it."""
        self.reads += 1
        if self.away:
            raise OSError("it does not answer")
        return self.jwks()

    def jwks(self, **more: Any) -> bytes:
        """The text of the set."""
        keys = [self.jwk(kid, algorithm) for kid, algorithm in self.kids.items()]
        return json.dumps({"keys": [{**key, **more} for key in keys]}).encode()

    def jwk(self, kid: str, algorithm: str) -> dict[str, Any]:
        """A public key of the set."""
        kind: Any = RSAAlgorithm if algorithm[:2] in ("RS", "PS") else ECAlgorithm
        if algorithm == "EdDSA":
            kind = OKPAlgorithm
        public = kind.to_jwk(private_key(kid, algorithm).public_key(), as_dict=True)
        return {**public, "kid": kid, "use": "sig"}

    def pem(self, kid: str) -> bytes:
        """A public key of the set, as a forger may use it."""
        public = private_key(kid, self.kids[kid]).public_key()
        encoded: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return encoded

    def token(self, kid: str = "first", *, without: str = "", **claims: Any) -> str:
        """A token for the client of `default`; `claims` replace its own."""
        algorithm = self.kids.get(kid, "ES256")
        return jwt.encode(
            without_claim(claims_of(**claims), without),
            private_key(kid, algorithm),
            algorithm=algorithm,
            headers={"kid": kid},
        )


def claims_of(**claims: Any) -> dict[str, Any]:
    """Those of a right token, valid for five minutes."""
    now = int(time.time())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "nbf": now,
        "exp": now + 300,
        "permissions": ["default:client"],
        **claims,
    }


def without_claim(claims: dict[str, Any], name: str) -> dict[str, Any]:
    """The claims but one."""
    return {each: value for each, value in claims.items() if each != name}


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token whose parts were put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
