"""Makes what a trial needs to be safe, in a folder for each kind of process: `trial_security.py DIR NAME...`.

    DIR/api, DIR/router   a certificate, the authority, the file of keys, and the key that signs calls to handlers
    DIR/handlers          a certificate, the authority, the public key of those signatures, and a key as its token
    DIR/operator          the authority, and a key of an admin: what a person needs

Each process sees only its own folder. NAMEs are hosts of the servers besides loopback. What is there stays; a
certificate that ends within ten days is made again, which running processes take into use. It is for a trial: the
key of the authority lies in DIR/authority. `docker compose` and `make up` use it.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.identity.signatures import SigningKey
from waystation_tls.trial import TrialAuthority

SERVERS = ("api", "router", "handlers")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
VALID, RENEWED_BEFORE = timedelta(days=90), timedelta(days=10)
HANDLER_SERVICES = ("insurance-claims",)
KEYS, SIGNING_KEY = "keys.json", "signing.pem"


def make(folder: Path, names: list[str]) -> None:
    """Makes what is missing."""
    for name in (*SERVERS, "operator", "authority"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _certificates(folder, names)
    if not (folder / "api" / KEYS).exists():
        _keys(folder)
    if not (folder / "api" / SIGNING_KEY).exists():
        _signing_key(folder)


def _certificates(folder: Path, names: list[str]) -> None:
    home = folder / "authority"
    if not (home / "ca.pem").exists():
        TrialAuthority.new().own.write(home, "ca")
    authority = TrialAuthority.read(home)
    for place in (*SERVERS, "operator"):
        _write(folder / place / "ca.pem", (home / "ca.pem").read_bytes(), 0o644)
    for place in SERVERS:
        if _ends(folder / place / "cert.pem") - datetime.now(UTC) < RENEWED_BEFORE:
            made = authority.issue(place, *LOOPBACK, *names, valid_for=VALID)
            _write(folder / place / "cert-key.pem", made.key, 0o600)
            _write(folder / place / "cert.pem", made.certificate, 0o644)


def _ends(certificate: Path) -> datetime:
    """When a certificate ends; long ago if there is none."""
    if not certificate.exists():
        return datetime(1970, 1, 1, tzinfo=UTC)
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def _keys(folder: Path) -> None:
    operator, handlers = new_key(), new_key()
    document = {
        "keys": [
            {
                "name": "operator",
                "sha256": digest_of_key(operator),
                "grants": {"*": ["admin"]},
            },
            {
                "name": "handlers",
                "sha256": digest_of_key(handlers),
                "grants": {"default": ["handler"]},
                "service_names": list(HANDLER_SERVICES),
            },
        ]
    }
    _write(folder / "operator" / "token", f"{operator}\n".encode(), 0o600)
    _write(folder / "handlers" / "token", f"{handlers}\n".encode(), 0o600)
    # Hashes only. That of the API last: with it everything is there.
    text = f"{json.dumps(document, indent=2)}\n".encode()
    for place in ("router", "api"):
        _write(folder / place / KEYS, text, 0o600)


def _signing_key(folder: Path) -> None:
    key = SigningKey.new()
    _write(folder / "handlers" / "identity-keys", f"{key.public}\n".encode(), 0o644)
    for place in ("router", "api"):
        _write(folder / place / SIGNING_KEY, key.pem(), 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Writes a file in one step, which nobody else can read for a moment either."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    new.replace(path)


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
