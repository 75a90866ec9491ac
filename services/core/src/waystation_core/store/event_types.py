"""Event types as conditions on rows that have an event_id: topic patterns as regular expressions."""

from __future__ import annotations

from waystation_domain.model import JsonObject
from waystation_domain.pools import EVERY_TYPE, EventTypes
from waystation_domain.topics import ANY_WORDS, ONE_WORD, is_pattern

_LONGEST_REGEX = 4_000
"""Characters. Postgres rejects expressions that are too complex, which a thousand long patterns in one are.
"""


def among(types: EventTypes, table: str) -> str:
    """Another condition for the rows of a table, with `parameters`. Nothing for all types: an installation
    without pools pays nothing."""
    if types == EVERY_TYPE:
        return ""
    return (
        "AND (SELECT (e.event_type || '.') ~ %(types)s FROM events e "
        f"WHERE e.event_id = {table}.event_id) IS DISTINCT FROM %(but)s"
    )


def parameters(types: EventTypes) -> JsonObject:
    """The parameters of the condition."""
    return {"types": as_regex(types.patterns), "but": types.but}


def as_regexes(types: tuple[str, ...]) -> list[str]:
    """Expressions for patterns; a type that one of them matches is included. None is too large for Postgres."""
    regexes: list[str] = []
    together: list[str] = []
    size = 0
    for pattern in types:
        if not is_pattern(pattern):
            continue
        if together and size + len(pattern) > _LONGEST_REGEX:
            regexes.append(as_regex(tuple(together)))
            together, size = [], 0
        together.append(pattern)
        size += len(pattern)
    return [*regexes, as_regex(tuple(together))] if together else regexes


def as_regex(patterns: tuple[str, ...]) -> str:
    """An expression for an event type followed by a dot, if one of the patterns matches it. With a dot after
    every word no case is special; no character of an event type is one either."""
    one = {ONE_WORD: r"[^.]*\.", ANY_WORDS: r"(?:[^.]*\.)*"}
    words = (
        "".join(one.get(word, word + r"\.") for word in pattern.split(".")) for pattern in patterns
    )
    return f"^(?:{'|'.join(words)})$"
