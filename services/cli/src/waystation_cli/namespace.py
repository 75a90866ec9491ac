"""The namespace that a command works in: `--namespace` or WAYSTATION_NAMESPACE, the same on every command that
calls a server. It is written into each request in one place, so no command can forget it."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, get_type_hints

import typer

VARIABLE = "WAYSTATION_NAMESPACE"

_chosen: ContextVar[str] = ContextVar("namespace", default="")

_Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        envvar=VARIABLE,
        metavar="NAME",
        help="The namespace. By default the only one of your token, or `default`.",
    ),
]


def with_namespace(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `--namespace`; unchanged if it calls no server, or has one that means something else."""
    signature = inspect.signature(command)
    if "address" not in signature.parameters or "namespace" in signature.parameters:
        return command

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        before = _chosen.set(given.pop("namespace"))
        try:
            return command(**given)
        finally:
            _chosen.reset(before)

    hints = get_type_hints(command, include_extras=True)
    called.__annotations__ = hints | {"namespace": _Namespace}
    parameters = []
    for name, each in signature.parameters.items():
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(each.replace(annotation=hints[name], kind=kind))
        if name == "address":
            parameters.append(
                inspect.Parameter("namespace", kind, annotation=_Namespace, default="")
            )
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called


def chosen() -> str:
    """The namespace of the command that runs; empty: nothing was said."""
    return _chosen.get()


def to_namespace() -> list[str]:
    """The words that a command needs to work in this namespace when it is typed again."""
    name = chosen()
    return [] if name == os.environ.get(VARIABLE, "") else ["--namespace", name]
