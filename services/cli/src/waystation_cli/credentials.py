"""The token that the calls of a command carry."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from waystation_cli.failures import CommandFailed
from waystation_cli.profiles import TOKEN, TOKEN_FILE
from waystation_tls.exposure import token_in_the_open


def with_token(channel: grpc.Channel, address: str, *, tls: bool) -> grpc.Channel:
    """The channel, whose calls carry the token of WAYSTATION_TOKEN or of WAYSTATION_TOKEN_FILE if there is one. Raises
    CommandFailed for a token that cannot be read, or that others could read on its way."""
    token = _token()
    if not token:
        return channel
    host = address.rpartition(":")[0].strip("[]")
    insecure = os.environ.get("WAYSTATION_INSECURE", "").lower() in ("1", "true", "yes")
    if not tls and not insecure:
        fault = token_in_the_open(host)
        if fault is not None:
            raise CommandFailed(
                code="FAILED_PRECONDITION",
                reason="TOKEN_NOT_SENT",
                message=f"Nothing was sent: {fault}.",
                metadata={"address": address},
            )
    return grpc.intercept_channel(channel, _Bearer(token))


def _token() -> str:
    named, file = os.environ.get(TOKEN), os.environ.get(TOKEN_FILE)
    if named and file:
        raise _not_usable(f"{TOKEN} and {TOKEN_FILE} are both set: unset one of them")
    if named:
        token, place = named, TOKEN
    elif file:
        try:
            token, place = Path(file).read_text(encoding="ascii").strip(), TOKEN_FILE
        except OSError as error:
            raise _not_usable(f"{TOKEN_FILE}: {file} cannot be read: {error.strerror}") from None
        except UnicodeError:
            raise _not_usable(f"{TOKEN_FILE}: {file} has no token") from None
    else:
        return ""
    if not is_token(token):
        raise _not_usable(f"{place} has no token: one line of characters without blanks")
    return token


def is_token(text: str) -> bool:
    """Whether it can be one: it stands in a header."""
    return bool(text) and all("!" <= each <= "~" for each in text)


def _not_usable(why: str) -> CommandFailed:
    return CommandFailed(code="INVALID_ARGUMENT", reason="TOKEN_NOT_USABLE", message=f"{why}.")


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]]
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
):
    """Adds the token to every call; the command line makes no others."""

    def __init__(self, token: str) -> None:
        self._metadata = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        return continuation(self._with_token(details), request)

    def _with_token(self, details: Any) -> _Details:
        return _Details(
            details.method,
            details.timeout,
            [*(details.metadata or ()), self._metadata],
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
