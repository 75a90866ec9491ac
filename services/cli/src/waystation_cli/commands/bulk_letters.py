"""dead-letters retry and discard of many: counted first, asked about, seen to the end, and taken up again."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Any

import grpc
import typer

from waystation.v1.dead_letter_pb2 import AllOpenDeadLetters, DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import (
    CountDeadLettersRequest,
    CountDeadLettersResponse,
    DiscardDeadLettersRequest,
    RetryDeadLettersRequest,
)
from waystation_cli import bars
from waystation_cli.connection import CALL_SECONDS, Api, to_server
from waystation_cli.consent import require_yes
from waystation_cli.failures import explain_rpc_error
from waystation_cli.interrupts import noted_ctrl_c
from waystation_cli.outcome import INTERRUPTED

# Of a call about many: a great many workflows take minutes.
_BULK_SECONDS = 600.0

_NOTHING_WAS_DONE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(frozen=True)
class Bulk:
    """What is asked about many. `chosen` without a condition means all."""

    verb: str
    chosen: DeadLetterFilter
    request_id: str
    address: str
    as_json: bool
    yes: bool

    def count(self, api: Api) -> CountDeadLettersResponse:
        """How many it is about."""
        response: CountDeadLettersResponse = api.dead_letters.CountDeadLetters(
            CountDeadLettersRequest(filter=self.chosen), timeout=CALL_SECONDS
        )
        return response

    def carry_out(self, api: Api, counted: CountDeadLettersResponse) -> int:
        """How many were retried or discarded, by this call and those that it goes on with.

        Asks first, where there is somebody to ask; a no ends the command.
        """
        affected = self._affected(counted)
        if affected and not self.as_json and not self.yes and sys.stdin.isatty():
            require_yes(f"{self.verb.title()} {affected} of them?")
        if not self.as_json:
            print(f"Request id: {self.request_id}", file=sys.stderr)
        request: Any
        if self.verb == "retry":
            request = RetryDeadLettersRequest(request_id=self.request_id)
            method = api.dead_letters.RetryDeadLetters
        else:
            request = DiscardDeadLettersRequest(request_id=self.request_id)
            method = api.dead_letters.DiscardDeadLetters
        if self.chosen == DeadLetterFilter():
            request.all.CopyFrom(AllOpenDeadLetters())
        else:
            request.filter.CopyFrom(self.chosen)
        try:
            with noted_ctrl_c() as struck:
                call = method.future(request, timeout=_BULK_SECONDS)
                response = bars.watched(
                    call,
                    self.verb,
                    total=affected,
                    left=lambda: self._affected(self.count(api)),
                    shown=not self.as_json,
                    struck=struck,
                )
        except grpc.RpcError as error:
            raise self._failure(error) from error
        if response is None:
            self._tell_how_far(api, counted)
            raise typer.Exit(INTERRUPTED)
        return int(response.retried if self.verb == "retry" else response.discarded)

    def _affected(self, counted: CountDeadLettersResponse) -> int:
        return counted.retryable if self.verb == "retry" else counted.count

    def _tell_how_far(self, api: Api, counted: CountDeadLettersResponse) -> None:
        affected = self._affected(counted)
        try:
            far = f"{max(affected - self._affected(self.count(api)), 0)} of {affected} are done. "
        except grpc.RpcError:
            far = ""
        print(f"Stopped. {far}What was done is kept; this does the rest:", file=sys.stderr)
        print(f"  {self.command()}", file=sys.stderr)

    def _failure(self, error: grpc.RpcError) -> Exception:
        failure = explain_rpc_error(error, self.address)
        if error.code() not in _NOTHING_WAS_DONE:
            failure.hint += f" What was done is kept; this does the rest: `{self.command()}`."
            failure.hint = failure.hint.strip()
            failure.metadata = {**failure.metadata, "request_id": self.request_id}
        return failure

    def command(self) -> str:
        """What goes on with this request, whenever it is typed: times are absolute."""
        words = ["waystation", "dead-letters", self.verb]
        chosen = self.chosen
        for option, values in (
            ("--workflow", chosen.workflow_instance_ids),
            ("--type", chosen.workflow_types),
            ("--task", chosen.task_ids),
            ("--event-type", chosen.event_types),
            ("--reason", chosen.reasons),
        ):
            words += [word for value in values for word in (option, value)]
        if chosen.HasField("created_after"):
            words += ["--since", chosen.created_after.ToJsonString()]
        if chosen.HasField("created_before"):
            words += ["--until", chosen.created_before.ToJsonString()]
        if chosen == DeadLetterFilter():
            words.append("--all")
        words += ["--request-id", self.request_id]
        words += to_server(self.address)
        return shlex.join(words)
