"""start --many: one workflow for each line of a file, and a line of output for each."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import typer

from waystation_cli import arguments, bars
from waystation_cli.connection import new_request_id, reporting_failures, to_server
from waystation_cli.failures import CommandFailed, bad_tls_settings, tls_failed, unreachable
from waystation_cli.outcome import INTERRUPTED
from waystation_cli.render import documents
from waystation_cli.render.text import plain
from waystation_worker import (
    Client,
    NewWorkflow,
    SettingsError,
    StartResult,
    TlsFailed,
    Unavailable,
    WaystationError,
)

_FIELDS = tuple(field.name for field in fields(NewWorkflow))


def start_many(
    file: str,
    workflow_type: str | None,
    request_id: str | None,
    address: str,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Starts what `file` (`-`: standard input) says, a JSON object on each line with the fields of
    NewWorkflow. `workflow_type` is that of lines without one. A line without a request_id gets this one
    and its number, so that the same command starts nothing twice. With `dry_run` nothing is sent: the lines that
    can be read are named, and what is wrong with the others."""
    starts = _Starts(workflow_type, request_id, as_json)
    with (
        reporting_failures(as_json),
        _opened(file) as lines,
        starts.bar,
    ):
        if not starts.bar.disable and file != "-":
            starts.bar.update(starts.bar.task_ids[0], total=_number_of_starts(file))
        try:
            asyncio.run(starts.check(lines) if dry_run else starts.carry_out(lines, address))
        except UnicodeDecodeError as error:
            raise CommandFailed(
                code="INVALID_ARGUMENT",
                reason="NOT_UTF8",
                message=f"{file} is not UTF-8 text; the lines printed above were started.",
            ) from error
        except KeyboardInterrupt as interrupt:
            starts.bar.stop()
            if not dry_run:
                starts.tell_how_far(file, workflow_type, address)
            raise typer.Exit(INTERRUPTED) from interrupt


def _number_of_starts(file: str) -> int | None:
    """The lines that are not empty; None: it can be read only once, or not at all."""
    path = Path(file)
    if not path.is_file():
        return None
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _opened(file: str) -> TextIO:
    if file == "-":
        return TextIOWrapper(sys.stdin.buffer, encoding="utf-8")
    try:
        return Path(file).open(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from error


class _Starts:
    def __init__(self, workflow_type: str | None, request_id: str | None, as_json: bool) -> None:
        self._workflow_type = workflow_type
        self._request_id = request_id or new_request_id()
        self._as_json = as_json
        self._numbers: dict[int, int] = {}
        """Lines, by the identity of what is in flight."""
        self._refused = 0
        self._started = 0
        self.bar = bars.bar("start", total=None, shown=not as_json)

    def tell_how_far(self, file: str, workflow_type: str | None, address: str) -> None:
        """Tells on stderr what was done, and which command does the rest."""
        words = ["waystation", "start", *([workflow_type] if workflow_type else []), "--many", file]
        words += ["--request-id", self._request_id, *to_server(address)]
        done = f"{self._started} lines were started" + (
            f", {self._refused} were not" if self._refused else ""
        )
        again = ", with the same lines" if file == "-" else ""
        print(
            f"Stopped. {done}; later ones may have been. This starts the rest{again}, and nothing twice:",
            file=sys.stderr,
        )
        print(f"  {plain(shlex.join(words))}", file=sys.stderr)

    async def carry_out(self, lines: TextIO, address: str) -> None:
        try:
            client = Client(address)
        except SettingsError as bad:
            raise bad_tls_settings(bad.message) from None
        async with client:
            async for result in client.start_many(self._workflows(lines)):
                number = self._numbers.pop(id(result.new))
                if isinstance(result.error, TlsFailed):
                    raise tls_failed(address, result.error.reason, result.error.message)
                if isinstance(result.error, Unavailable):
                    failure = unreachable(
                        address, f"at line {number}; it and later ones may have been started"
                    )
                    failure.hint += (
                        f" Then give the same command with --request-id {self._request_id}: what was "
                        "started is not started twice."
                    )
                    raise failure
                self._print(number, result)
        self._fail_if_refused()

    async def check(self, lines: TextIO) -> None:
        async for new in self._workflows(lines):
            number = self._numbers.pop(id(new))
            told = {"line": number, "workflow_instance_id": new.workflow_instance_id or ""}
            self._tell(f"{number}: would be started ({plain(new.workflow_type)})", told)
        self._fail_if_refused()

    def _fail_if_refused(self) -> None:
        if self._refused:
            raise CommandFailed(
                code="FAILED_PRECONDITION",
                reason="SOME_NOT_STARTED",
                message=f"{self._refused} of the workflows were not started.",
                hint="The lines above say why. Correct those lines and start them again.",
                metadata={"not_started": str(self._refused)},
            )

    async def _workflows(self, lines: TextIO) -> AsyncIterator[NewWorkflow]:
        number = 0
        # In a thread: whoever writes the lines may take its time.
        while line := await asyncio.to_thread(lines.readline):
            number += 1
            if not line.strip():
                continue
            try:
                new = self._workflow(line)
            except typer.BadParameter as fault:
                self._print_error(number, "", "INVALID_ARGUMENT", "INVALID_FIELD", fault.message)
                continue
            if not new.request_id:
                new = replace(new, request_id=f"{self._request_id}-{number}")
            self._numbers[id(new)] = number
            yield new

    def _workflow(self, line: str) -> NewWorkflow:
        given = arguments.json_value(line)
        if not isinstance(given, dict):
            raise typer.BadParameter("it is no JSON object")
        if unknown := sorted(given.keys() - set(_FIELDS)):
            raise typer.BadParameter(
                f"unknown field {unknown[0]!r}; a line may have {', '.join(_FIELDS)}"
            )
        given = {"workflow_type": self._workflow_type, **given}
        if not isinstance(given["workflow_type"], str):
            raise typer.BadParameter("no workflow_type, and the command line names none")
        if isinstance(given.get("workflow_timeout"), str):
            given["workflow_timeout"] = arguments.seconds(given["workflow_timeout"])
        return NewWorkflow(**given)

    def _print(self, number: int, result: StartResult) -> None:
        started, error = result.workflow, result.error
        instance_id = result.new.workflow_instance_id or ""
        if started is not None:
            self._started += 1
            known = "" if started.created else " (was there already)"
            self._tell(
                f"{number}: {started.id}{known}",
                {
                    "line": number,
                    "workflow_instance_id": started.id,
                    "created": bool(started.created),
                },
            )
        elif isinstance(error, WaystationError):
            self._print_error(number, instance_id, error.code, error.reason, error.message)
        else:
            # A value that JSON cannot represent.
            self._print_error(number, instance_id, "INVALID_ARGUMENT", "INVALID_FIELD", str(error))

    def _print_error(
        self, number: int, instance_id: str, code: str, reason: str, message: str
    ) -> None:
        self._refused += 1
        error = {"code": code, "reason": reason, "message": message}
        self._tell(
            f"{number}: not started: {plain(message)} ({code} / {reason})",
            {"line": number, "workflow_instance_id": instance_id, "error": error},
        )

    def _tell(self, line: str, told: dict[str, Any]) -> None:
        self.bar.advance(self.bar.task_ids[0])
        if self._as_json:
            documents.print_one_of_many(told)
        else:
            print(line, flush=True)
