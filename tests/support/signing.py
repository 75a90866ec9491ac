"""Keys of the tests that sign calls: two that are always the same, as files."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from waystation_core.identity.signatures import SigningKey

_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
"""What PKCS #8 writes before the 32 bytes of an Ed25519 key."""


def key(number: int) -> SigningKey:
    """The key of this number: made of it, so of no worth."""
    body = base64.b64encode(_PREFIX + bytes([number]) * 32).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    return SigningKey.of_pem(pem.encode(), f"key {number}")


def write(path: Path, number: int) -> Path:
    """A key's file, which replaces the one before at once, as it should be done."""
    new = path.with_suffix(".new")
    new.write_bytes(key(number).pem())
    new.chmod(0o600)
    os.replace(new, path)
    return path
