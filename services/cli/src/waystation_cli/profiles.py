"""Profiles: an address, a token and TLS by a name, in one file that only its owner can read.

A profile stands for the variables WAYSTATION_ADDRESS, WAYSTATION_TOKEN and WAYSTATION_TLS...: it fills in those that
are not set, and only for its own address, so that its token goes nowhere else.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waystation_cli.failures import CommandFailed

DEFAULT = "default"
TOKEN, TOKEN_FILE = "WAYSTATION_TOKEN", "WAYSTATION_TOKEN_FILE"
TLS_VARIABLES = (
    "WAYSTATION_TLS",
    "WAYSTATION_TLS_CA",
    "WAYSTATION_TLS_SERVER_NAME",
    "WAYSTATION_TLS_CERT",
    "WAYSTATION_TLS_KEY",
)

_named: ContextVar[str] = ContextVar("profile", default="")
"""The one that was named on the command line."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is filled in: `tls` are variables by their names."""

    address: str
    token: str = field(repr=False)
    tls: Mapping[str, str] = field(default_factory=dict)


def file() -> Path:
    """Where the profiles are."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "waystation" / "profiles.json"


def name_of_choice() -> str:
    """The profile that is meant: WAYSTATION_PROFILE, else `default`."""
    return os.environ.get("WAYSTATION_PROFILE") or DEFAULT


def choose(name: str) -> Callable[[], None]:
    """Takes this profile, and nothing that the environment says of a server. `to_profile` says so until what it
    returns is called."""
    os.environ["WAYSTATION_PROFILE"] = name
    for variable in ("WAYSTATION_ADDRESS", TOKEN, TOKEN_FILE, *TLS_VARIABLES):
        os.environ.pop(variable, None)
    before = _named.set(name)
    return lambda: _named.reset(before)


def to_profile() -> list[str]:
    """The words that a command needs to use this profile when it is typed again."""
    name = _named.get()
    return ["--profile", name] if name else []


def chosen() -> Profile | None:
    """The profile that is meant; None if nobody named one and there is no default one. Raises CommandFailed for one
    that was named and does not exist, and for a file that cannot be used."""
    found = _read().get(name_of_choice())
    if found is None and os.environ.get("WAYSTATION_PROFILE"):
        raise _no_such_profile(name_of_choice())
    return found


def fill_in(profile: Profile, environ: MutableMapping[str, str]) -> None:
    """Sets the variables that a command lacks to reach the server of the profile."""
    if not environ.get(TOKEN) and not environ.get(TOKEN_FILE):
        environ[TOKEN] = profile.token
    if not any(environ.get(name) for name in TLS_VARIABLES):
        environ.update(profile.tls)


def save(name: str, profile: Profile) -> Path:
    """Adds or replaces a profile; the file where it is. Raises CommandFailed."""
    _write({**_read(), name: profile})
    return file()


def remove(name: str) -> None:
    """Raises CommandFailed for one that does not exist."""
    profiles = _read()
    if profiles.pop(name, None) is None:
        raise _no_such_profile(name)
    _write(profiles)


def _read() -> dict[str, Profile]:
    try:
        with file().open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _not_usable(f"it cannot be read: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _not_usable(f"others can read it: run `chmod 600 {file()}`")
    try:
        return {name: Profile(**entry) for name, entry in json.loads(text)["profiles"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _not_usable("it is damaged: remove it, and run `waystation login`") from None


def _write(profiles: Mapping[str, Profile]) -> None:
    document: dict[str, Any] = {
        name: {"address": each.address, "token": each.token, "tls": dict(each.tls)}
        for name, each in profiles.items()
    }
    place = file()
    new = place.with_suffix(f".{os.getpid()}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Never readable by others, not for a moment; and whole, whenever it is read.
        with open(new, "x", opener=lambda path, flags: os.open(path, flags, mode=0o600)) as opened:
            json.dump({"profiles": document}, opened, indent=2)
            opened.write("\n")
        new.replace(place)
    except OSError as error:
        raise _not_usable(f"it cannot be written: {error.strerror}") from None


def _no_such_profile(name: str) -> CommandFailed:
    known = ", ".join(sorted(_read()))
    return CommandFailed(
        code="NOT_FOUND",
        reason="PROFILE_NOT_FOUND",
        message=f"There is no profile {name}.",
        hint=f"There are: {known}." if known else "Make one: `waystation login`.",
        metadata={"profile": name},
    )


def _not_usable(why: str) -> CommandFailed:
    return CommandFailed(
        code="FAILED_PRECONDITION",
        reason="PROFILES_NOT_USABLE",
        message=f"The profiles in {file()} cannot be used: {why}.",
        metadata={"file": str(file())},
    )
