"""Signatures of calls to handlers: with them a handler service knows that a router, or the API, is calling.

A signature is a JSON Web Token, signed with Ed25519, for one service and one namespace. It goes with each call as
metadata. One is made per service and used for `RENEW_SECONDS`, as signing costs as much as a small call.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from waystation_tls import stamp_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

METADATA_KEY = "waystation-identity"
ISSUER = "waystation"
VALID_SECONDS = 60
RENEW_SECONDS = 30.0
"""So a signature that is sent is valid for half a minute at least."""
LOOK_SECONDS = 5.0
"""How often the file of the key is read again."""

_MOST_SERVICES = 10_000
_ALGORITHM = "EdDSA"

Metadata = tuple[tuple[str, str], ...]

log = structlog.get_logger(__name__)


class BadSigningKey(Exception):
    """A file that holds no key to sign with; the text says what to do."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and the text of its public key, which names it too."""

    private: Ed25519PrivateKey
    public: str
    """32 bytes in base64url without padding: the `kid` of its signatures, and the `x` of its JSON Web Key."""

    @classmethod
    def new(cls) -> SigningKey:
        """A key by chance."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """The key in a PEM file. Raises BadSigningKey."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                pem = file.read()
        except OSError as error:
            raise BadSigningKey(f"{path} cannot be read: {error.strerror}.") from None
        if mode & (stat.S_IRWXO | stat.S_IWGRP):
            # Its group may read it: that is how Kubernetes gives a secret to a process.
            raise BadSigningKey(
                f"{path} is open to others than its owner, who could sign like a router: run `chmod 600 {path}`."
            )
        return cls.of_pem(pem, str(path))

    @classmethod
    def of_pem(cls, pem: bytes, where: str) -> SigningKey:
        """The key in a PEM text. Raises BadSigningKey."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError:
            raise BadSigningKey(
                f"{where} is protected by a password: give a key without one."
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadSigningKey(
                f"{where} holds no Ed25519 private key in PEM: make one with `waystation signing-key new FILE`."
            )
        return cls._of(key)

    def pem(self) -> bytes:
        """The private key as a file has it."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, service_name: str, namespace: str, now: float) -> str:
        """The signature of calls to a service of a namespace, at this time in seconds since 1970."""
        header = {"alg": _ALGORITHM, "kid": self.public, "typ": "JWT"}
        claims = {
            "iss": ISSUER,
            "aud": service_name,
            "sub": namespace,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + VALID_SECONDS,
        }
        signed = f"{_part(header)}.{_part(claims)}"
        return f"{signed}.{_base64url(self.private.sign(signed.encode()))}"

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> SigningKey:
        return cls(private, _base64url(private.public_key().public_bytes_raw()))


def faults_of_signing_key(path: Path) -> list[str]:
    """What is wrong with a file; nothing: it can be used."""
    try:
        SigningKey.read(path)
    except BadSigningKey as bad:
        return [str(bad)]
    return []


class Signatures:
    """The signatures of one process. Without a key calls are not signed.

    The key's file is read again when it changes, so that a key is replaced without a restart. If the new
    content cannot be used, the old key stays, and the log says why.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970. Raises BadSigningKey."""
        self._path = path
        self._clock = clock
        self._made: dict[tuple[str, str], tuple[Metadata, float]] = {}
        self._looked_at = clock()
        self._stamp = stamp_of(path)
        self._key = SigningKey.read(path) if path is not None else None

    def of_calls(self, service_name: str, namespace: str) -> Metadata | None:
        """The metadata of a call to a service; None if calls are not signed."""
        if self._path is None:
            return None
        now = self._clock()
        if not 0.0 <= now - self._looked_at < LOOK_SECONDS:
            self._looked_at = now
            self._look(self._path)
        made = self._made.get((service_name, namespace))
        # A clock that was set back would make signatures of the future.
        if made is not None and 0.0 <= now - made[1] < RENEW_SECONDS:
            return made[0]
        return self._renewed(service_name, namespace, now)

    def _renewed(self, service_name: str, namespace: str, now: float) -> Metadata | None:
        if self._key is None:
            return None
        if len(self._made) >= _MOST_SERVICES:
            self._made.clear()
        metadata = ((METADATA_KEY, self._key.sign(service_name, namespace, now)),)
        self._made[service_name, namespace] = (metadata, now)
        return metadata

    def _look(self, path: Path) -> None:
        stamp = stamp_of(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._key = SigningKey.read(path)
        except BadSigningKey as bad:
            log.error("signing_key_not_usable", fault=str(bad), used="the old key")
        else:
            self._made.clear()
            log.info("signing_key_replaced", file=str(path), public_key=self._key.public)


def _part(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


UNSIGNED = Signatures(None)
"""Of a process without a key."""
