"""The connection to the API: the one place of the command line that dials."""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Any

import grpc
import typer
from rich.console import Console

from waystation_cli import namespace, profiles
from waystation_cli.credentials import with_token
from waystation_cli.failures import CommandFailed, bad_tls_settings, explain_rpc_error
from waystation_cli.render.documents import error_text
from waystation_cli.render.text import addressed, advise_with, plain, quoted
from waystation_tls import BadTls, ClientCredentials, ClientTls

DEFAULT_ADDRESS = "127.0.0.1:7400"

CALL_SECONDS = 15.0
"""How long a call may take that does not wait for a workflow."""


def _target(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """The address that is meant: the one that was given, else the profile's. What the profile of that address has is
    set for this command."""
    # Nobody typed it, and no variable has it.
    source = context.get_parameter_source(param.name or "")
    default = source is not None and source.name == "DEFAULT"
    try:
        profile = profiles.chosen()
    except CommandFailed:
        # Told in the command's own form, when it connects.
        return _require_target(value)
    if profile is not None and default:
        value = profile.address
    if profile is not None and value == profile.address:
        profiles.fill_in(profile, os.environ)
    _require_target(value)
    context.call_on_close(advise_with(to_server(value)))
    return value


PLAIN_ADDRESS = re.compile(
    r"[a-z0-9]{1,63}([.-][a-z0-9]{1,63}){0,5}:([1-9][0-9]{0,3}|[1-5][0-9]{4})"
)
"""Addresses that are surely good. Whatever is not so plain is left to the SDK."""


def _require_target(value: str) -> str:
    if PLAIN_ADDRESS.fullmatch(value):
        return value
    # Only here: commands start in half the time without the SDK.
    from waystation_worker.addresses import problem_of

    if problem := problem_of(value):
        raise typer.BadParameter(f"{value!r} {problem}")
    return value


Address = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="WAYSTATION_ADDRESS",
        callback=_target,
        metavar="HOST:PORT",
        help="Address of the API.",
    ),
]


def to_server(address: str) -> list[str]:
    """The words that a command needs besides its own to go to that server when it is typed again."""
    profile = profiles.chosen()
    usual = os.environ.get("WAYSTATION_ADDRESS") or (
        DEFAULT_ADDRESS if profile is None else profile.address
    )
    elsewhere = [] if address == usual else ["--address", address]
    return [*elsewhere, *profiles.to_profile(), *namespace.to_namespace()]


class Api:
    """Stubs of every service that the command line calls. Their methods take `timeout` seconds.

    Each is imported when it is first asked for: no command needs them all, and they take their time.
    """

    # The generated stubs carry no types; every command annotates the response that it gets.

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    @cached_property
    def workflows(self) -> Any:
        from waystation.v1 import workflow_service_pb2_grpc

        return workflow_service_pb2_grpc.WorkflowServiceStub(self._channel)

    @cached_property
    def run_workflow(self) -> Any:
        """RunWorkflow as a call whose initial metadata can be had before its one response: iterate over it once."""
        from waystation.v1.workflow_service_pb2 import RunWorkflowRequest, RunWorkflowResponse

        # gRPC for Python gives the initial metadata of a unary call only together with its
        # response; on the wire a unary response is a stream of one.
        return self._channel.unary_stream(
            "/waystation.v1.WorkflowService/RunWorkflow",
            request_serializer=RunWorkflowRequest.SerializeToString,
            response_deserializer=RunWorkflowResponse.FromString,
        )

    @cached_property
    def dead_letters(self) -> Any:
        from waystation.v1 import dead_letter_service_pb2_grpc

        return dead_letter_service_pb2_grpc.DeadLetterServiceStub(self._channel)

    @cached_property
    def handlers(self) -> Any:
        from waystation.v1 import handler_registry_service_pb2_grpc

        return handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(self._channel)

    @cached_property
    def namespaces(self) -> Any:
        from waystation.v1 import namespace_service_pb2_grpc

        return namespace_service_pb2_grpc.NamespaceServiceStub(self._channel)

    @cached_property
    def system(self) -> Any:
        from waystation.v1 import system_service_pb2_grpc

        return system_service_pb2_grpc.SystemServiceStub(self._channel)

    @cached_property
    def audit(self) -> Any:
        from waystation.v1 import audit_service_pb2_grpc

        return audit_service_pb2_grpc.AuditServiceStub(self._channel)

    @cached_property
    def tokens(self) -> Any:
        from waystation.v1 import token_service_pb2_grpc

        return token_service_pb2_grpc.TokenServiceStub(self._channel)


class _InNamespace(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Writes the namespace into each request that has a place for it and names none."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        _fill(request)
        return continuation(details, request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        _fill(request)
        return continuation(details, request)


def _fill(request: Any) -> None:
    name = namespace.chosen()
    if not name:
        return
    names = request.DESCRIPTOR.fields_by_name
    about = request.start if "start" in names and "namespace" not in names else request
    if "namespace" in about.DESCRIPTOR.fields_by_name and not about.namespace:
        about.namespace = name


@contextmanager
def connected(address: str, as_json: bool) -> Iterator[Api]:
    """Gives the API at `address`, and closes the connection afterwards.

    A failure inside is printed on stderr, as text or as one JSON document, and exits with its code.
    """
    with reporting_failures(as_json), open_channel(address) as channel:
        try:
            yield Api(grpc.intercept_channel(channel, _InNamespace()))
        except grpc.RpcError as error:
            raise explain_rpc_error(error, address) from error


def open_channel(address: str) -> grpc.Channel:
    """A channel to that address. Raises CommandFailed for settings of TLS, profiles and tokens that cannot be used."""
    profiles.chosen()
    options: list[tuple[str, Any]] = []
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost" or host == "::1" or host.startswith("127."):
        # gRPC would send even a loopback call to the proxy that the environment names.
        options.append(("grpc.enable_http_proxy", 0))
    try:
        tls = ClientCredentials.if_on(ClientTls.of(os.environ))
    except BadTls as bad:
        raise bad_tls_settings(str(bad)) from None
    if tls is None:
        channel = grpc.insecure_channel(address, options)
    else:
        channel = grpc.secure_channel(address, tls.of_grpc(), [*options, *tls.options()])
    return with_token(channel, address, tls=tls is not None)


@contextmanager
def reporting_failures(as_json: bool) -> Iterator[None]:
    """Prints a CommandFailed of its body on stderr and exits with its code."""
    try:
        yield
    except CommandFailed as failure:
        _report(failure, as_json)
        raise typer.Exit(failure.exit_code) from failure


def new_request_id() -> str:
    """An id that makes a repeated call have one effect."""
    return str(uuid.uuid4())


def _report(failure: CommandFailed, as_json: bool) -> None:
    if as_json:
        error = {
            "code": failure.code,
            "reason": failure.reason,
            "message": failure.message,
            "hint": addressed(failure.hint),
            "metadata": dict(failure.metadata),
        }
        if told := error_text({"error": error}):
            print(told, end="", file=sys.stderr)
            return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("Error:", style="bold red", end=" ")
    console.print(quoted(failure.message), markup=False)
    if failure.hint:
        console.print(plain(addressed(failure.hint)), markup=False)
    console.print(f"({failure.code} / {failure.reason})", style="dim", markup=False)
