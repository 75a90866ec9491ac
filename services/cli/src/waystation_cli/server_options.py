"""The options of every command that calls a server, besides its address: which namespace, and which profile."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from waystation_cli import namespace

PROFILE_HELP = "Use this profile of `waystation login`, and no WAYSTATION_ADDRESS, token or TLS of the environment."


def choose_profile(context: typer.Context, name: str | None) -> str | None:
    """What was named on the command line comes before what the environment says of a server."""
    if name is not None:
        # Only here: help and TAB have no use for it.
        from waystation_cli import profiles

        context.call_on_close(profiles.choose(name))
    return name


_Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        envvar=namespace.VARIABLE,
        metavar="NAME",
        help="The namespace. By default the only one of your token, or `default`.",
    ),
]

# Eager: the address asks for the profile.
_Profile = Annotated[
    str | None,
    typer.Option(
        "--profile", callback=choose_profile, is_eager=True, metavar="NAME", help=PROFILE_HELP
    ),
]


def with_server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `--namespace` and `--profile`; without those that it has itself or, if it calls no server,
    unchanged."""
    if "address" not in inspect.signature(command).parameters:
        return command
    with_profile = _with_option(command, "profile", _Profile, None, lambda name: lambda: None)
    return _with_option(with_profile, "namespace", _Namespace, "", namespace.choose)


def _with_option(
    command: Callable[..., Any],
    name: str,
    option: Any,
    default: str | None,
    choose: Callable[[Any], Callable[[], None]],
) -> Callable[..., Any]:
    """The command with one more option behind `--address`. `choose` takes its value while the command runs, and gives
    what ends that."""
    signature = inspect.signature(command)
    if name in signature.parameters:
        return command

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        end = choose(given.pop(name))
        try:
            return command(**given)
        finally:
            end()

    hints = get_type_hints(command, include_extras=True)
    called.__annotations__ = hints | {name: option}
    parameters = []
    for each in signature.parameters.values():
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(each.replace(annotation=hints[each.name], kind=kind))
        if each.name == "address":
            parameters.append(inspect.Parameter(name, kind, annotation=option, default=default))
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called
