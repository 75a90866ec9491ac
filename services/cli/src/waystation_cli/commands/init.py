"""init: a first service in a folder, with its test, to begin with."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from waystation_cli.connection import reporting_failures
from waystation_cli.failures import CommandFailed
from waystation_cli.output import AsJson
from waystation_cli.render import first_service

FILES = ("service.py", "test_service.py", "pytest.ini", "README.md")
"""Of the package's own folder `first_service`."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder; it is made if it does not exist.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a first service: three tasks, their test, a README.

    It overwrites nothing.
    """
    with reporting_failures(as_json):
        _write(folder)
    first_service.print_written(
        first_service.Written(
            folder.absolute(), FILES, _next(folder), _test(folder), _environment(), _kit()
        ),
        as_json,
    )


def _write(folder: Path) -> None:
    """All files or none. Raises CommandFailed."""
    if there := [name for name in FILES if os.path.lexists(folder / name)]:
        raise CommandFailed(
            code="ALREADY_EXISTS",
            reason="FILES_EXIST",
            message=f"{folder.absolute()} has {', '.join(there)} already; nothing was written.",
            hint=f"Choose another folder: `waystation init {_free_folder(folder)}`.",
            metadata={"folder": str(folder.absolute()), "files": " ".join(there)},
        )
    templates = resources.files("waystation_cli") / "first_service"
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            # "x": what somebody has made meanwhile is not overwritten either.
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(folder / name)
                file.write((templates / name).read_text(encoding="utf-8"))
    except OSError as error:
        for file_written in written:
            file_written.unlink(missing_ok=True)
        raise CommandFailed(
            code="FAILED_PRECONDITION",
            reason="FOLDER_NOT_USABLE",
            message=f"{folder.absolute()} cannot be used ({_reason(folder, error)}); nothing was written.",
            hint="Choose a folder that you may write to: `waystation init DIR`.",
            metadata={"folder": str(folder.absolute())},
        ) from error


def _reason(folder: Path, error: OSError) -> str:
    return "it is a file" if folder.is_file() else str(error.strerror)


def _free_folder(folder: Path) -> str:
    """A folder beside those that exist, as it is typed."""
    first = folder if folder.name else folder / "orders"
    number, free = 2, first
    while os.path.lexists(free):
        free = first.with_name(f"{first.name}-{number}")
        number += 1
    return shlex.quote(str(free))


def _next(folder: Path) -> list[str]:
    """The three commands that follow, each in a terminal of its own in the current folder."""
    return [
        f"{_program('waystation')} dev",
        f"{_entered(folder)}{_program('python')} service.py",
        f"""{_program("waystation")} run order --data '{{"item": "tea", "count": 2}}'""",
    ]


def _test(folder: Path) -> str:
    return f"{_entered(folder)}{_program('python')} -m pytest -q"


def _environment() -> str:
    """What a new terminal needs first; empty if nothing."""
    environment = os.environ.get("VIRTUAL_ENV")
    return f". {shlex.quote(environment)}/bin/activate" if environment else ""


def _kit() -> str:
    """What has to be installed for the test; empty if nothing."""
    missing = any(find_spec(name) is None for name in ("pytest", "pytest_asyncio"))
    return "waystation-worker[testing]" if missing else ""


def _entered(folder: Path) -> str:
    typed = str(folder)
    return "" if typed == "." else f"cd {shlex.quote(typed)} && "


def _program(name: str) -> str:
    """What has to be typed for the program of this installation: its name if the PATH leads there, otherwise its
    path."""
    ours = Path(sys.executable).with_name(name)
    if not ours.exists():
        return name
    found = shutil.which(name)
    if found is not None and (
        Path(found).parent.resolve() == ours.parent.resolve()
        # Installers of commands link to them. A link to a Python means that Python, not its environment.
        or (name != "python" and Path(found).resolve() == ours.resolve())
    ):
        return name
    return shlex.quote(str(ours))
