"""In which form a command prints: `-o text|json|yaml|ids`, the same on every command that prints data.

A command only knows whether its output is for a program (`as_json`); it then prints documents, and in which form
these are written is decided here and in `render.message_json`.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, get_type_hints

import typer


class Form(enum.StrEnum):
    """The forms as they are typed."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    IDS = "ids"


class _FormWithoutIds(enum.StrEnum):
    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text for people, as -o json.")
]
_AsIds = Annotated[bool, typer.Option("--ids", help="Print one id on each line, as -o ids.")]
_Help = typer.Option("--output", "-o", help="The form of the output.", case_sensitive=False)

_form: ContextVar[Form] = ContextVar("form", default=Form.JSON)


def form() -> Form:
    """The form that was asked for; JSON where a document is printed and nothing was said."""
    return _form.get()


def with_forms(command: Callable[..., Any], *, ids: bool) -> Callable[..., Any]:
    """The command with `-o`, and with `--ids` if its documents have ids; unchanged if it prints no documents."""
    signature = inspect.signature(command)
    if "as_json" not in signature.parameters:
        return command

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        chosen = _chosen(Form(given.pop("output")), given["as_json"], given.pop("as_ids", False))
        given["as_json"] = chosen is not Form.TEXT
        with _printing(chosen):
            return command(**given)

    added: dict[str, tuple[Any, Any]] = {
        "output": (Annotated[Form if ids else _FormWithoutIds, _Help], Form.TEXT)
    }
    if ids:
        added["as_ids"] = (_AsIds, False)
    hints = get_type_hints(command, include_extras=True)
    called.__annotations__ = hints | {name: kind for name, (kind, _) in added.items()}
    # What Typer reads in place of the command's own; these stand beside --json.
    own = {
        name: each.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, each in signature.parameters.items()
    }
    as_json = own.pop("as_json")
    new = [
        inspect.Parameter(name, as_json.kind, annotation=kind, default=default)
        for name, (kind, default) in added.items()
    ]
    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*own.values(), new[0], as_json, *new[1:]]
    )
    return called


def _chosen(output: Form, as_json: bool, as_ids: bool) -> Form:
    asked = {
        *([output] if output is not Form.TEXT else []),
        *([Form.JSON] if as_json else []),
        *([Form.IDS] if as_ids else []),
    }
    if len(asked) > 1:
        raise typer.BadParameter(
            f"{' and '.join(sorted(asked))} exclude each other", param_hint="--output"
        )
    return asked.pop() if asked else Form.TEXT


@contextmanager
def _printing(chosen: Form) -> Iterator[None]:
    before = _form.set(chosen)
    try:
        yield
    finally:
        _form.reset(before)
