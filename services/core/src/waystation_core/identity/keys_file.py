"""Preshared keys: a file of names, hashes of keys, and what each key may do.

    {"keys": [{"name": "ops", "sha256": "9f86d0...", "grants": {"*": ["admin"]}},
              {"name": "claims", "sha256": "60303a...", "grants": {"default": ["handler"]},
               "service_names": ["claims"]}]}

Several keys may have one name: that is how a key is replaced. The file holds no secret, as a key is 32 random
bytes and its hash tells nothing about it; whoever can write the file can let himself in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from waystation_core.identity.authenticator import Identified
from waystation_core.identity.principal import EVERY, GRANTABLE, Principal
from waystation_core.rpc.roles import Role
from waystation_domain.errors import InvalidId
from waystation_domain.limits import check_id
from waystation_domain.namespaces import check_namespace_name
from waystation_tls import stamp_of

PREFIX = "wsk_"
"""What every preshared key begins with."""

MAX_KEYS = 10_000
_KEY = re.compile(r"wsk_[A-Za-z0-9_-]{43}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROLES = {role.value: role for role in GRANTABLE}

log = structlog.get_logger(__name__)


class BadKeys(Exception):
    """The file cannot be used; each fault is a sentence."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(" ".join(faults))


def new_key() -> str:
    """A key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of_key(key: str) -> str:
    """What the file has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> dict[str, Principal]:
    """The callers in a file, by the hash of their key. Raises BadKeys with all faults."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except OSError as error:
        raise BadKeys([f"{path} cannot be read: {error.strerror}."]) from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadKeys([f"{path} can be written by others than its owner: run `chmod go-w {path}`."])
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadKeys([f"{path} is not JSON: {error}."]) from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries or len(entries) > MAX_KEYS:
        raise BadKeys([f"{path} must have a list `keys` of 1 to {MAX_KEYS} keys."])
    found: dict[str, Principal] = {}
    faults = []
    for number, entry in enumerate(entries, 1):
        try:
            digest, principal = _read(entry)
            if digest in found:
                raise ValueError("its key stands in the file twice")
            found[digest] = principal
        except ValueError as fault:
            faults.append(f"{path}, key {number}: {fault}.")
    if faults:
        raise BadKeys(faults)
    return found


def _read(entry: Any) -> tuple[str, Principal]:
    if not isinstance(entry, dict):
        raise ValueError("it must be an object")
    unknown = set(entry) - {"name", "sha256", "grants", "service_names"}
    if unknown:
        raise ValueError(f"it has an unknown member {sorted(unknown)[0]!r}")
    name, digest = entry.get("name"), entry.get("sha256")
    if not isinstance(name, str):
        raise ValueError("`name` is missing")
    try:
        check_id(name, "name")
    except InvalidId as fault:
        raise ValueError(fault.message.rstrip(".")) from None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("`sha256` must be the SHA-256 of the key: 64 digits 0-9a-f")
    grants = read_grants(entry.get("grants"))
    services = entry.get("service_names", [])
    if not isinstance(services, list) or not all(isinstance(each, str) for each in services):
        raise ValueError("`service_names` must be a list of names")
    if not services and any(Role.HANDLER in roles for roles in grants.values()):
        raise ValueError("a handler needs `service_names`, the services that it may act for")
    return digest, Principal(f"key:{name}", grants, frozenset(services))


def read_grants(value: object) -> dict[str, frozenset[Role]]:
    """Roles by namespace, from JSON. Raises ValueError."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError('`grants` must be an object like {"default": ["client"]}')
    grants = {}
    for namespace, names in value.items():
        if namespace != EVERY:
            check_namespace_name(namespace)
        if not isinstance(names, list) or not names or not set(map(str, names)) <= set(_ROLES):
            raise ValueError(
                f"the grants of {namespace} must be a list of roles: {', '.join(sorted(_ROLES))}"
            )
        grants[str(namespace)] = frozenset(_ROLES[name] for name in names)
    return grants


def faults_of_keys(path: Path) -> list[str]:
    """What is wrong with a file; nothing: it can be used."""
    try:
        read_keys(path)
    except BadKeys as bad:
        return bad.faults
    return []


class KeysFile:
    """The keys of a file, which is read again when it changes. If the new text cannot be used, the old keys
    stay, and the log says why."""

    def __init__(self, path: Path) -> None:
        """Raises BadKeys."""
        self._path = path
        self._stamp = stamp_of(path)
        self._keys = read_keys(path)

    def recognises(self, credential: str) -> bool:
        return credential.startswith(PREFIX)

    async def identify(self, credential: str) -> Identified | str:
        """Looks at the file at most once per call; callers keep the answer for a while."""
        self._look()
        if not _KEY.fullmatch(credential):
            return "the key has not the form of a key"
        digest = digest_of_key(credential)
        found = None
        for known, principal in self._keys.items():
            # Every key is compared, in constant time.
            if hmac.compare_digest(known, digest):
                found = principal
        return Identified(found) if found is not None else "the key is not in the file"

    def _look(self) -> None:
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except BadKeys as bad:
            log.error(
                "keys_not_usable", file=str(self._path), faults=bad.faults, used="the old keys"
            )
        else:
            log.info("keys_replaced", file=str(self._path), keys=len(self._keys))
