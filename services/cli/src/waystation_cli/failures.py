"""What a person reads when a command fails: what happened, and what to do about it.

    CommandFailed
      made here from a gRPC error (`explain_rpc_error`), or by a command itself

Their exit codes are REFUSED and NO_ANSWER of `outcome`; a wrong command line is typer's own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from waystation_cli.outcome import NO_ANSWER, REFUSED
from waystation_tls import BadTls, ClientCredentials, ClientTls, diagnose

# What to do next, by ErrorInfo reason. The server's message comes first and usually says it too;
# here stands what only the command line knows: the commands.
_HINTS = {
    "WORKFLOW_NOT_FOUND": "`waystation list` shows all workflows.",
    "DEAD_LETTER_NOT_FOUND": "`waystation dead-letters list` shows the open ones.",
    "DEAD_LETTER_RESOLVED": "`waystation dead-letters list --state {state}` shows it.",
    "HANDLER_NOT_FOUND": "`waystation handlers list` shows the registered ones.",
    "WORKFLOW_NOT_WAITING": "Here, that is `waystation explain {workflow_instance_id}`.",
    "WAIT_ID_REQUIRED": "Name one with --wait-id: {wait_ids}.",
    "WORKFLOW_ENDED": "`waystation show {workflow_instance_id}` shows how it ended.",
    "WORKFLOW_ALREADY_EXISTS": "Choose another --id, or omit it to get a new one.",
    "VERSION_MISMATCH": "Check the current state (`waystation show`) and repeat with its --expected-version.",
    "WORKFLOW_TYPES_REQUIRED": "Give them as the third part of --task, `*` for all.",
    "ENDPOINT_NOT_ALLOWED": "WAYSTATION_HANDLER_ALLOWLIST of the servers lists the allowed hosts.",
    "STORE_UNAVAILABLE": "The server is running, but not its Postgres; repeat the command when Postgres is back.",
    "UNAUTHENTICATED": "`waystation login` keeps one for later commands.",
    "PERMISSION_DENIED": "`waystation tokens create NAME --role ROLE` makes one.",
    "TOKEN_NOT_FOUND": "`waystation tokens list` shows all.",
    "INTERNAL": "The server's log has the details under this error id.",
}


_UNANSWERED = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


@dataclass
class CommandFailed(Exception):
    """A command could not do what was asked.

    `code` is the name of a gRPC status code; `reason` is that of the server's ErrorInfo, or
    one of this command line's own (SERVER_UNREACHABLE, NO_ANSWER, NOT_A_WAYSTATION_SERVER,
    WORKFLOW_TYPE_UNKNOWN, FILES_EXIST, FOLDER_NOT_USABLE, SIGNING_KEY_NOT_USABLE, TLS_SETTINGS, and those of
    `waystation_tls.Problem`).
    """

    code: str
    reason: str
    message: str
    hint: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0
    """0: by the code."""

    def __post_init__(self) -> None:
        if not self.exit_code:
            self.exit_code = NO_ANSWER if self.code in _UNANSWERED else REFUSED

    def __str__(self) -> str:
        return self.message


_OPTIONS = {
    "at_sequence": "--at",
    "from_sequence": "--from",
    "to_sequence": "--to",
    "expected_version": "--expected-version",
    "workflow_instance_id": "WORKFLOW_ID or --id",
    "request_id": "--request-id",
    "event.event_type": "EVENT_TYPE",
    "filter.id_prefix": "--id-prefix",
}
"""What fields of requests are on the command line."""


def explain_rpc_error(error: grpc.RpcError, address: str) -> CommandFailed:
    """The failure behind a gRPC error of a call to `address`."""
    code: grpc.StatusCode = error.code()
    details: str = error.details() or ""
    info = _error_info(error)
    if info is not None:
        return CommandFailed(
            code=code.name,
            reason=info.reason,
            message=details or info.reason,
            hint=_hint(info.reason, details, info.metadata) or _option(info.metadata),
            metadata=dict(info.metadata),
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        return _tls_failed(address) or unreachable(address)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return CommandFailed(
            code=code.name,
            reason="NO_ANSWER",
            message=f"The server at {address} did not answer in time.",
            hint="`waystation status` shows its state; the request may have taken effect.",
            metadata={"address": address},
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return CommandFailed(
            code=code.name,
            reason="NOT_A_WAYSTATION_SERVER",
            message=f"The server at {address} does not implement this call.",
            hint="It may be another kind of server (a handler service, a router) or an older release. "
            "Set --address or WAYSTATION_ADDRESS to the API, by default 127.0.0.1:7400.",
            metadata={"address": address},
        )
    return CommandFailed(
        code=code.name,
        reason=code.name,
        message=details or f"The call failed with {code.name}.",
        metadata={"address": address},
    )


def _tls_failed(address: str) -> CommandFailed | None:
    """What is wrong with TLS, if that is why there is no connection."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return None
    try:
        tls = ClientCredentials.if_on(ClientTls.of(os.environ))
    except BadTls:
        # They were in order when the channel was made.
        return None
    material = None if tls is None else tls.material
    found = asyncio.run(diagnose(host.strip("[]"), int(port), tls=material))
    if found is None:
        return None
    return tls_failed(address, found.reason, f"No connection to {address}: {found.message}.")


def bad_tls_settings(message: str) -> CommandFailed:
    """Settings of TLS cannot be used; the message says which."""
    return CommandFailed(
        code="INVALID_ARGUMENT",
        reason="TLS_SETTINGS",
        message=message,
        hint="Correct the settings WAYSTATION_TLS..., or unset them to speak plain text.",
    )


def tls_failed(address: str, reason: str, message: str) -> CommandFailed:
    """There is no connection because of TLS; the message says what to change."""
    return CommandFailed(
        code="UNAVAILABLE",
        reason=reason,
        message=message,
        metadata={"address": address},
    )


def unreachable(address: str, where: str = "") -> CommandFailed:
    """Nobody answers there; `where` says how far the command came."""
    return CommandFailed(
        code="UNAVAILABLE",
        reason="SERVER_UNREACHABLE",
        message=f"No Waystation server answers at {address}{' ' if where else ''}{where}.",
        hint="Start one with `waystation dev`, or give another address with --address or WAYSTATION_ADDRESS.",
        metadata={"address": address},
    )


def _error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        # The trailer contradicts the status: some proxy made it, so it proves nothing.
        return None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "waystation":
            return info
    return None


def _hint(reason: str, message: str, metadata: Mapping[str, str]) -> str:
    hint = _HINTS.get(reason, "")
    try:
        hint = hint.format_map(metadata)
    except KeyError:
        # An older or newer server names other parts; the message has to do.
        return ""
    return "" if hint in message else hint


def _option(metadata: Mapping[str, str]) -> str:
    option = _OPTIONS.get(metadata.get("field", ""))
    return f"Here, {metadata['field']} is {option}." if option else ""
