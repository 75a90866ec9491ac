"""namespaces create, get, update, list, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from waystation.v1 import namespace_service_pb2 as pb
from waystation_cli.commands.pages import gather
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import message_json
from waystation_cli.render import namespaces as render

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the namespace.")]
Description = Annotated[str | None, typer.Option(help="What it is for.")]
Open = Annotated[
    int | None, typer.Option(min=0, help="Workflows that have not ended, at most; 0: no limit.")
]
Rate = Annotated[float | None, typer.Option(min=0, help="Starts per second, at most; 0: no limit.")]
InFlight = Annotated[
    int | None, typer.Option(min=0, help="Calls of its tasks at once, at most; 0: no limit.")
]
Bytes = Annotated[
    int | None, typer.Option(min=0, help="Bytes in the database, at most; 0: no limit.")
]


def create(
    name: Name,
    description: Description = None,
    max_open_workflows: Open = None,
    max_starts_per_second: Rate = None,
    max_in_flight: InFlight = None,
    max_stored_bytes: Bytes = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Make a namespace.

    A name has 1-63 characters of a-z, 0-9 and -. Every server uses it within a second.
    """
    request = pb.CreateNamespaceRequest(name=name, description=description or "")
    _limit(
        request.limits,
        max_open_workflows,
        max_starts_per_second,
        max_in_flight,
        max_stored_bytes,
    )
    with connected(address, as_json) as api:
        response = api.namespaces.CreateNamespace(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response.namespace)
    else:
        render.print_made(response.namespace)


def get(name: Name, address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Show a namespace: its limits, and what it uses."""
    with connected(address, as_json) as api:
        response = api.namespaces.GetNamespace(
            pb.GetNamespaceRequest(name=name), timeout=CALL_SECONDS
        )
    if as_json:
        message_json.print_message(response)
    else:
        render.print_namespace(response.namespace, response.usage)


def update(
    name: Name,
    description: Description = None,
    max_open_workflows: Open = None,
    max_starts_per_second: Rate = None,
    max_in_flight: InFlight = None,
    max_stored_bytes: Bytes = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Change the description and limits of a namespace.

    What is not named stays as it is.
    """
    with connected(address, as_json) as api:
        known = api.namespaces.GetNamespace(
            pb.GetNamespaceRequest(name=name), timeout=CALL_SECONDS
        ).namespace
        request = pb.UpdateNamespaceRequest(
            name=name,
            description=known.description if description is None else description,
            limits=known.limits,
        )
        _limit(
            request.limits,
            max_open_workflows,
            max_starts_per_second,
            max_in_flight,
            max_stored_bytes,
        )
        response = api.namespaces.UpdateNamespace(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response.namespace)
    else:
        render.print_namespace(response.namespace)


def list_namespaces(address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """List the namespaces in which you have a role."""
    with connected(address, as_json) as api:
        found, more = gather(
            lambda page_size, page_token: api.namespaces.ListNamespaces(
                pb.ListNamespacesRequest(page_size=page_size, page_token=page_token),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.namespaces,
        )
    if as_json:
        message_json.print_items(found, more)
    else:
        render.print_namespaces(found)


def delete(name: Name, address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Delete a namespace that has no workflows and no live handlers."""
    with connected(address, as_json) as api:
        response = api.namespaces.DeleteNamespace(
            pb.DeleteNamespaceRequest(name=name), timeout=CALL_SECONDS
        )
    if as_json:
        message_json.print_message(response)
    else:
        render.print_deleted(name)


def _limit(
    limits: pb.NamespaceLimits,
    open_workflows: int | None,
    starts: float | None,
    in_flight: int | None,
    stored: int | None,
) -> None:
    """Sets those that were typed; 0 removes one."""
    for name, value in (
        ("max_open_workflows", open_workflows),
        ("max_starts_per_second", starts),
        ("max_in_flight", in_flight),
        ("max_stored_bytes", stored),
    ):
        if value:
            setattr(limits, name, value)
        elif value is not None:
            limits.ClearField(name)  # type: ignore[arg-type, unused-ignore]
