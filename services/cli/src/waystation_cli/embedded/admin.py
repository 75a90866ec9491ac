"""The first token of `waystation dev --tokens`: an admin's, in the data directory."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from waystation_cli.commands.keys import add
from waystation_core.identity.keys_file import digest_of_key, new_key

KEYS_FILE = "WAYSTATION_KEYS_FILE"


def first_token(data_dir: Path, environment: MutableMapping[str, str]) -> Path:
    """The file with an admin's key, which only the user can read; made at the first start, and kept. `environment`
    gets the settings with which the engine in here asks for it. Raises CommandFailed."""
    token, keys = data_dir / "admin-token", data_dir / "keys.json"
    if not token.exists() or not keys.exists():
        key = new_key()
        keys.unlink(missing_ok=True)
        add(keys, {"name": "dev", "sha256": digest_of_key(key), "grants": {"*": ["admin"]}})
        token.unlink(missing_ok=True)
        with open(
            token, "x", opener=lambda path, flags: os.open(path, flags, mode=0o600)
        ) as opened:
            opened.write(f"{key}\n")
    environment.setdefault(KEYS_FILE, str(keys))
    return token
