"""A JSON object in the editor that the user of this terminal has chosen."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer

from waystation_cli import arguments
from waystation_cli.failures import CommandFailed


def edited(before: dict[str, Any], name: str) -> tuple[dict[str, Any], Path]:
    """What became of it in $VISUAL or $EDITOR (by default vi), and the file with it: `discard` it once it is no
    longer needed. Raises CommandFailed where the editor failed or what was saved is no JSON object; the message
    says where the file is."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    folder = Path(tempfile.mkdtemp(prefix="waystation-"))
    file = folder / f"{name}.json"
    file.write_text(json.dumps(before, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    try:
        # What the user of this terminal has chosen to run.
        code = subprocess.run([*shlex.split(command), str(file)]).returncode  # noqa: S603
    except OSError as error:
        raise _failed(f"The editor {command} cannot be started: {error.strerror}.", file) from error
    if code:
        raise _failed(f"The editor {command} ended with exit code {code}.", file)
    try:
        after = arguments.json_value(f"@{file}", example="")
    except typer.BadParameter as fault:
        raise _failed(f"What was saved is {fault.message}.", file) from fault
    if not isinstance(after, dict):
        raise _failed("What was saved is no JSON object.", file)
    return after, file


def discard(file: Path) -> None:
    """Removes what `edited` has left."""
    file.unlink()
    file.parent.rmdir()


def _failed(message: str, file: Path) -> CommandFailed:
    return CommandFailed(
        code="INVALID_ARGUMENT",
        reason="NOT_EDITED",
        message=message,
        hint=f"Nothing was sent. The text is kept: {file}.",
        metadata={"file": str(file)},
    )
