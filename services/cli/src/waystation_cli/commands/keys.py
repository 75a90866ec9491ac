"""keys new: a preshared key, in the file of keys that servers read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation_cli.commands.tokens import Namespaces, Roles, Services
from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.output import AsJson
from waystation_cli.render import keys as told


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who uses it.")],
    role: Roles,
    namespace: Namespaces = None,
    service: Services = None,
    file: Annotated[
        Path, typer.Option(metavar="FILE", help="The file of WAYSTATION_KEYS_FILE.")
    ] = Path("keys.json"),
    as_json: AsJson = False,
) -> None:
    """Make a preshared key, and add its hash to a file.

    The key is shown once. The file is made if it does not exist; servers read it again when it changes. To replace
    a key, add another one with the same name, and remove the old one afterwards.
    """
    # Only here: other commands need nothing of the engine, and start faster without it.
    from waystation_core.identity.keys_file import digest_of_key, new_key

    key = new_key()
    entry: dict[str, Any] = {
        "name": name,
        "sha256": digest_of_key(key),
        "grants": {each: sorted(set(role)) for each in dict.fromkeys(namespace or ["default"])},
    }
    if service:
        entry["service_names"] = service
    with reporting_failures(as_json):
        add(file, entry)
    told.print_new(name, file.absolute(), key, as_json)


def add(file: Path, entry: dict[str, Any]) -> None:
    """Adds a key to the file, which stays as it is if the result could not be used. Raises CommandFailed."""
    from waystation_core.identity.keys_file import BadKeys, read_keys

    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        document = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"keys": []}
        document["keys"].append(entry)
        try:
            # Written whole: a server may read it at any moment.
            with open(
                new, "x", opener=lambda path, flags: os.open(path, flags, mode=0o600)
            ) as opened:
                json.dump(document, opened, indent=2)
                opened.write("\n")
            read_keys(new)
            if file.exists():
                new.chmod(file.stat().st_mode & 0o777)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)
    except BadKeys as bad:
        raise _not_usable(file, " ".join(bad.faults).replace(str(new), str(file))) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _not_usable(file, f"{file} is not a file of keys.") from None
    except OSError as error:
        raise _not_usable(file, f"{file} cannot be written: {error.strerror}.") from None


def _not_usable(file: Path, message: str) -> CommandFailed:
    return CommandFailed(
        code="FAILED_PRECONDITION",
        reason="KEYS_NOT_USABLE",
        message=message,
        hint="Nothing was changed.",
        metadata={"file": str(file)},
    )
