"""A signing key: its public half, and what to do with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


def print_new(file: Path, public: str, as_json: bool) -> None:
    """Prints where the private key is, the public key, and the settings that follow."""
    if as_json:
        print_document({"file": str(file), "public_key": public})
        return
    out = stdout()
    out.print(plain(f"Wrote the private key to {file}"), soft_wrap=True)
    out.print(plain(f"Its public key: {public}"), soft_wrap=True)
    out.print("Next, first for handler services, then for API and routers:", style="bold")
    out.print(plain(f"  export WAYSTATION_IDENTITY_KEYS={public}"), soft_wrap=True)
    out.print(plain(f"  export WAYSTATION_SIGNING_KEY={shlex.quote(str(file))}"), soft_wrap=True)


def print_public(file: Path, public: str, as_json: bool) -> None:
    """Prints the public key alone, for scripts and people."""
    if as_json:
        print_document({"file": str(file), "public_key": public})
        return
    stdout().print(plain(public), soft_wrap=True)
