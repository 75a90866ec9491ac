"""Differences in lines, as a unified diff has them: what was there with `-`, what is with `+`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render import names
from waystation_cli.render.documents import json_text
from waystation_cli.render.message_json import as_dict
from waystation_cli.render.text import plain, stdout
from waystation_domain.differences import ABSENT, Difference, differences

# A longer value takes a line for each of its members.
_SHORT = 100

Found = Mapping[str, Sequence[Difference]]


def of_contexts(before: WorkflowContext, after: WorkflowContext) -> Found:
    """What differs between two moments of an instance: in its data, and in the rest of it."""
    return {
        "data": list(differences(as_dict(before.data), as_dict(after.data))),
        "instance": list(differences(_rest(before), _rest(after))),
    }


def as_document(found: Found) -> dict[str, Any]:
    """The same for scripts."""
    return {
        part: [
            {
                "path": each.path,
                **({} if each.before is ABSENT else {"before": each.before}),
                **({} if each.after is ABSENT else {"after": each.after}),
            }
            for each in places
        ]
        for part, places in found.items()
    }


def print_contexts(before: WorkflowContext, after: WorkflowContext, found: Found) -> None:
    """Which moments these are, then the differences."""
    out = stdout()
    out.print(
        plain(f"{before.workflow_instance_id} #{before.version} -> #{after.version}"), style="bold"
    )
    if not any(found.values()):
        out.print("Nothing differs.")
    for part, places in found.items():
        if places:
            out.print(part)
            out.print(Text("\n").join(lines(places)), soft_wrap=True)


def lines(places: Iterable[Difference], label: str = "") -> Iterator[Text]:
    """The lines of these places, each with its path; `label` stands for a path that is the root."""
    for each in places:
        for sign, colour, value in (("-", "red", each.before), ("+", "green", each.after)):
            if value is not ABSENT:
                yield from _value(sign, each.path or label, value, colour)


def _value(sign: str, path: str, value: Any, colour: str) -> Iterator[Text]:
    text = json_text(value, sort_keys=True)
    if len(text) > _SHORT and isinstance(value, (dict, list)):
        text = json_text(value, sort_keys=True, indent=2)
    for number, line in enumerate(text.splitlines()):
        head = f"{path}: " if not number else ""
        yield Text(plain(f"{sign} {head}{line}"), style=colour)


def _rest(context: WorkflowContext) -> dict[str, Any]:
    rest: dict[str, Any] = {
        "status": names.status(context.status),
        "waits": [as_dict(wait) for wait in context.waits],
    }
    for field in ("output", "failure"):
        if context.HasField(field):
            rest[field] = as_dict(getattr(context, field))
    return rest
