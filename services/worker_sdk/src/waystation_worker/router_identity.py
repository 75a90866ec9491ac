"""Who calls: with public keys a handler service admits only calls that Waystation has signed.

A signature is a JSON Web Token (Ed25519) for one service of one namespace, in the metadata `waystation-identity`. Its `kid` is the
public key itself. It is checked before a call is read; on a stream when the stream opens.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from waystation_tls import LACKING, can_be_read

METADATA_KEY = "waystation-identity"
ISSUER = "waystation"
LEEWAY_SECONDS = 30
"""How far the clocks of router and handler may differ."""
LOOK_SECONDS = 5.0
"""How often the file of the keys is read again."""
KEYS = "WAYSTATION_IDENTITY_KEYS"
KEYS_FILE = "WAYSTATION_IDENTITY_KEYS_FILE"

_MOST_BYTES = 4096
_MOST_REMEMBERED = 100
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

logger = logging.getLogger("waystation_worker")


class NotIdentified(Exception):
    """The call is not signed as this service wants it; the text says why and what to do."""


class BadIdentityKeys(ValueError):
    """Keys that cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class IdentityKeys:
    """Where the public keys are from: values, or a file that is read again when it changes."""

    values: tuple[str, ...] = ()
    file: Path | None = None
    name: str = KEYS
    """What the user calls them."""

    @classmethod
    def of(cls, given: Sequence[str] | None, environ: Mapping[str, str]) -> IdentityKeys | None:
        """Those of the argument, else of the environment; None if there are none, so that every call is admitted.
        Raises BadIdentityKeys."""
        if given is not None:
            if isinstance(given, str):
                raise BadIdentityKeys("identity_keys must be a list of keys")
            return cls(_checked(given, "identity_keys"), name="identity_keys")
        text, file = environ.get(KEYS, ""), environ.get(KEYS_FILE, "")
        if text and file:
            raise BadIdentityKeys(f"{KEYS} and {KEYS_FILE} are both set: unset one of them")
        if file:
            return cls(_read(Path(file)), Path(file), KEYS_FILE)
        return cls(_checked(text.split(","), KEYS)) if text else None


class RouterIdentity:
    """Checks the signatures of calls to one service."""

    def __init__(
        self,
        keys: IdentityKeys,
        service_name: str,
        namespace: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`namespace`: empty until the registration tells it. `clock`: seconds since 1970."""
        self._keys = keys
        self._service_name = service_name
        self.namespace = namespace
        self._clock = clock
        self._known = frozenset(keys.values)
        self._looked_at = clock()
        self._seen = _content(keys.file)
        self._admitted: dict[str, float] = {}

    def check(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Returns if the call is signed for this service by a key that it knows. Raises NotIdentified."""
        tokens = [value for key, value in metadata if key == METADATA_KEY]
        if not tokens:
            raise NotIdentified(
                "the call is not signed: set WAYSTATION_SIGNING_KEY for routers and API"
            )
        token = tokens[0]
        if len(tokens) > 1 or not isinstance(token, str):
            raise NotIdentified(f"the metadata {METADATA_KEY} must have one value")
        now = self._clock()
        if not 0.0 <= now - self._looked_at < LOOK_SECONDS:
            self._looked_at = now
            self._look()
        if now >= self._admitted.get(token, float("-inf")):
            until = verified(token, self._service_name, self.namespace, self._known, now)
            self._remember(token, until)

    def _remember(self, token: str, until: float) -> None:
        """Routers send the same signature for half a minute, and checking one costs as much as a small call."""
        if len(self._admitted) >= _MOST_REMEMBERED:
            self._admitted.pop(next(iter(self._admitted)))
        self._admitted[token] = until

    def _look(self) -> None:
        content = _content(self._keys.file)
        if self._keys.file is None or content == self._seen:
            return
        self._seen = content
        try:
            self._known = frozenset(_read(self._keys.file))
        except BadIdentityKeys as bad:
            logger.error("%s; the old keys stay in use", bad)
        else:
            # What a key that is gone has signed is not admitted any more.
            self._admitted.clear()
            logger.info("%s: %d keys are in use", self._keys.file, len(self._known))


def verified(
    token: str, service_name: str, namespace: str, keys: frozenset[str], now: float
) -> float:
    """When a signature stops to be valid, in seconds since 1970; `now` is such a time too. Raises
    NotIdentified."""
    if len(token) > _MOST_BYTES or not _TOKEN.fullmatch(token):
        raise NotIdentified("the signature is not a JSON Web Token")
    signed, _, signature = token.rpartition(".")
    try:
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        kid, begins, expires = header["kid"], float(claims["nbf"]), float(claims["exp"])
        algorithm, issuer = header["alg"], claims["iss"]
        audience, subject = claims["aud"], claims["sub"]
    except (ValueError, TypeError, LookupError):
        raise NotIdentified("the signature is not a JSON Web Token of Waystation") from None
    if algorithm != "EdDSA" or "crit" in header:
        raise NotIdentified("the signature must be made with EdDSA")
    if not isinstance(kid, str) or kid not in keys:
        # A stranger wrote it, and it goes to the log.
        shown = re.sub(r"[^\w-]", "?", str(kid)[:50], flags=re.ASCII)
        raise NotIdentified(
            f"the call is signed with a key that this service does not know ({shown}): if it is a router's, add it to "
            f"the service's {KEYS}"
        )
    if not _is_signed(signed, signature, kid):
        raise NotIdentified("the signature is wrong: the call does not come from Waystation")
    if issuer != ISSUER:
        raise NotIdentified("the signature is not issued by Waystation")
    if audience != service_name:
        raise NotIdentified(
            f"the call is signed for the service {str(audience)[:200]}, and this is {service_name}"
        )
    if not namespace:
        raise NotIdentified("this service has not registered yet, and does not know its namespace")
    if subject != namespace:
        raise NotIdentified(
            f"the call is signed for the namespace {str(subject)[:200]}, and this service is of {namespace}: if it is "
            "not, set WAYSTATION_NAMESPACE for the service"
        )
    if now >= expires + LEEWAY_SECONDS:
        raise NotIdentified("the signature has expired: compare the clocks of router and handler")
    if now < begins - LEEWAY_SECONDS:
        raise NotIdentified(
            "the signature is not valid yet: compare the clocks of router and handler"
        )
    return expires + LEEWAY_SECONDS


def _is_signed(signed: str, signature: str, key: str) -> bool:
    # A tenth of a second, which a process without keys does not spend.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_decoded(key)).verify(
            _decoded(signature), signed.encode()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> tuple[str, ...]:
    """The keys in a file: one to a line; what follows a # is a comment."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadIdentityKeys(f"{KEYS_FILE}={path} cannot be read: {why}") from None
    lines = [line.partition("#")[0] for line in text.splitlines()]
    return _checked([line for line in lines if line.strip()], f"{KEYS_FILE}={path}")


def _checked(keys: Sequence[str], name: str) -> tuple[str, ...]:
    if not can_be_read():
        raise BadIdentityKeys(f"{name}: {LACKING.rstrip('.')}")
    found = tuple(str(key).strip() for key in keys)
    wrong = [key for key in found if not _KEY.fullmatch(key)]
    if wrong or not found:
        what = f"{wrong[0][:50]!r} is none" if wrong else "there is none"
        raise BadIdentityKeys(
            f"{name} must have public keys, each 43 characters as `waystation signing-key show` prints them; {what}"
        )
    return found


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError:
        return None


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
