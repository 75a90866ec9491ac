"""Documents for programs, in the form that was asked for: JSON, YAML, or their ids alone.

The text means the same in every locale, with escapes for what might not be written and for what could steer a
terminal.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from waystation_cli.output import Form, form
from waystation_cli.render.text import steers


def print_document(document: Any) -> None:
    """Prints what json can print."""
    if form() is Form.IDS:
        for each in dict.fromkeys(_ids(document)):
            print(each)
    elif form() is Form.YAML:
        print(_yaml(document), end="")
    else:
        print(json_text(document, indent=2))


def print_one_of_many(document: Mapping[str, Any]) -> None:
    """The same of one document of a stream, at once: what reads a stream must not wait for more. As JSON it is a
    line."""
    match form():
        case Form.IDS if "error" in document:
            # A list of ids has no place for it.
            print(json_text(document), file=sys.stderr)
        case Form.IDS:
            print_document(document)
        case Form.YAML:
            print(f"---\n{_yaml(document)}", end="")
        case _:
            print(json_text(document))
    sys.stdout.flush()


def error_text(document: Any) -> str | None:
    """An error as a document; None: it is for people, as ids have no form for errors."""
    if form() is Form.IDS:
        return None
    return _yaml(document) if form() is Form.YAML else json_text(document) + "\n"


def json_text(document: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """As JSON."""
    text = json.dumps(document, ensure_ascii=not _in_utf8(), indent=indent, sort_keys=sort_keys)
    return _escaped(text)


def _yaml(document: Any) -> str:
    # Only here: nothing else needs it, and it takes its time.
    import yaml

    class Lines(yaml.SafeDumper):
        """A text is one line: none of its own lines can look like a member."""

        def represent_text(self, text: str) -> Any:
            style = '"' if any(map(steers, text)) else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    Lines.add_representer(str, Lines.represent_text)
    whole: str = yaml.dump(
        document, Dumper=Lines, sort_keys=False, allow_unicode=_in_utf8(), width=sys.maxsize
    )
    return _escaped(whole)


def _escaped(text: str) -> str:
    # Only strings can hold such a character: json and yaml write none themselves but line ends.
    return "".join(
        json.dumps(each)[1:-1] if each != "\n" and steers(each) else each for each in text
    )


def _ids(document: Mapping[str, Any]) -> Iterator[str]:
    if "items" in document:
        for each in document["items"]:
            yield from _ids(each)
        return
    told: Mapping[str, Any] = {
        **document,
        **document.get("handler", {}),
        **document.get("context", {}),
        **document.get("token", {}),
    }
    yield next(str(told[name]) for name in _IDS if name in told)


_IDS = ("dead_letter_id", "handler_id", "token_id", "workflow_instance_id", "event_id")
"""The members that name what a document is about, the closest one first."""


def _in_utf8() -> bool:
    try:
        return codecs.lookup(sys.stdout.encoding or "").name == "utf-8"
    except LookupError:
        return False
