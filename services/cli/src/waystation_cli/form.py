"""What a wait's schema asks for, one question for each field on a terminal; and whether an answer fits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from waystation_cli import arguments
from waystation_cli.json_schema import faults, properties_of, required_of, types_of
from waystation_cli.render.documents import json_text
from waystation_cli.render.text import plain


def filled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to a question for each property of the schema; without properties, one for the whole.

    Asks again until an answer fits. An optional field is left out by an empty answer.
    """
    properties = properties_of(schema)
    if not properties:
        return _whole(schema)
    required = required_of(schema)
    # A Struct has no order of members, a list has.
    names = [name for name in required if name in properties]
    names += sorted(properties.keys() - set(names))
    answers = {}
    for name in names:
        rule = properties[name]
        given = _field(name, rule if isinstance(rule, dict) else {}, name in required)
        if given is not None:
            answers[name] = given[0]
    return answers


def require_fit(schema: Mapping[str, Any], answer: Any, of: str = "") -> None:
    """A usage error, which begins with `of`, unless the answer is what the schema describes."""
    if found := faults(schema, answer):
        raise typer.BadParameter(
            f"{plain(of)}the answer is not what is asked for: {plain('; '.join(found))} (--no-check sends it anyway)"
        )


def _whole(schema: Mapping[str, Any]) -> dict[str, Any]:
    while True:
        text = typer.prompt("Answer (a JSON object)", err=True)
        try:
            answer = arguments.json_value(text)
        except typer.BadParameter as fault:
            typer.echo(f"  {plain(fault.message)}", err=True)
            continue
        if not isinstance(answer, dict):
            typer.echo("  It must be a JSON object.", err=True)
        elif found := faults(schema, answer):
            typer.echo(f"  {plain('; '.join(found))}", err=True)
        else:
            return answer


def _field(name: str, rule: Mapping[str, Any], required: bool) -> tuple[Any] | None:
    """The answer in a tuple, as null is one; None: it is left out."""
    title = plain(str(rule.get("description") or rule.get("title") or ""))
    about = ", ".join(filter(None, (_kinds(rule), "" if required else "optional", title)))
    while True:
        question = f"{plain(name)}{f' ({about})' if about else ''}"
        default = rule.get("default")
        text = typer.prompt(
            question,
            default="" if default is None else _shown(default),
            show_default=default is not None,
            err=True,
        )
        if not text and not required:
            return None
        answer = _read(text, rule)
        if not (found := faults(rule, answer)):
            return (answer,)
        if types_of(rule) == ["boolean"] and not isinstance(answer, bool):
            found = ["it must be yes or no"]
        typer.echo(f"  {plain('; '.join(found))}", err=True)


def _kinds(rule: Mapping[str, Any]) -> str:
    if rule.get("enum") and isinstance(rule["enum"], list):
        return plain(" | ".join(map(_shown, rule["enum"])))
    return " | ".join("yes or no" if kind == "boolean" else plain(kind) for kind in types_of(rule))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


_YES_OR_NO = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def _read(text: str, rule: Mapping[str, Any]) -> Any:
    """What was typed as a value of the kind that is asked for; text where it is nothing else."""
    kinds = types_of(rule)
    if "boolean" in kinds and text.lower() in _YES_OR_NO:
        return _YES_OR_NO[text.lower()]
    if kinds == ["string"] or (isinstance(rule.get("enum"), list) and text in rule["enum"]):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
