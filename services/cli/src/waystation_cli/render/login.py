"""What `login` and `logout` did."""

from __future__ import annotations

from pathlib import Path

from waystation_cli.render.documents import print_document
from waystation_cli.render.text import plain, stdout


def print_login(profile: str, address: str, file: Path, as_json: bool) -> None:
    """Prints where the profile is, and how it is used."""
    if as_json:
        print_document({"profile": profile, "address": address, "file": str(file)})
        return
    out = stdout()
    out.print(plain(f"Logged in to {address}. The token is in {file}"), soft_wrap=True)
    if profile != "default":
        out.print(plain(f"Commands use it with --profile: waystation list --profile {profile}"))


def print_logout(profile: str, as_json: bool) -> None:
    """Says that it is gone."""
    if as_json:
        print_document({"profile": profile})
        return
    stdout().print(plain(f"Removed the profile {profile}."))
