"""Commands that take several ids: one call for each, in the order in which they were typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from waystation_cli import ids
from waystation_cli.render import documents, message_json

Answer = TypeVar("Answer")


def _as_document(answer: Any) -> Any:
    return message_json.as_dict(answer) if isinstance(answer, Message) else answer


def carry_out(
    given: Sequence[str],
    meant: Callable[[str], str],
    call: Callable[[str], Answer],
    tell: Callable[[Answer], None],
    as_json: bool,
    document: Callable[[Answer], Any] = _as_document,
) -> list[Answer]:
    """The answers, one for each id. Each is printed as soon as it is there; as JSON at the end, of one id its
    document, of several a list. A call that fails hides nothing that was done before it."""
    found = ids.all_clear(given, meant)
    answers: list[Answer] = []
    try:
        for each in found:
            answers.append(call(each))
            if not as_json:
                tell(answers[-1])
    finally:
        if as_json and answers:
            told = [document(each) for each in answers]
            documents.print_document(told[0] if len(found) == 1 else {"items": told, "more": False})
    return answers
