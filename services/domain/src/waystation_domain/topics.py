"""Topic patterns as in AMQP: words separated by dots, `*` is one word, `#` any number of words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

from waystation_domain.errors import InvalidEventType, shown

ONE_WORD = "*"
ANY_WORDS = "#"

_PATTERN = re.compile(r"[A-Za-z0-9._:*#-]{1,200}")
_REMEMBERED = 4_096

Value = TypeVar("Value")


def is_pattern(text: str) -> bool:
    """Whether the text is a pattern and not one event type."""
    return ONE_WORD in text or ANY_WORDS in text


def check_pattern(pattern: str, field: str = "event_types") -> str:
    """Returns the pattern or event type. Raises InvalidEventType for other characters, lengths outside 1-200,
    and wildcards that are not a whole word: `claim*` would match nothing but itself."""
    if _PATTERN.fullmatch(pattern) is None:
        problem = (
            "it must have 1-200 characters of [A-Za-z0-9._:-], with * and # only as whole words"
        )
    elif any(is_pattern(word) and len(word) > 1 for word in pattern.split(".")):
        problem = "* and # stand for whole words between dots"
    else:
        return pattern
    raise InvalidEventType(
        f'{field} "{shown(pattern)}" is not an event type or topic pattern: {problem}. '
        'Write it like "claim.processed" or "claim.*".',
        field=field,
        value=shown(pattern),
    )


def matches(pattern: str, event_type: str) -> bool:
    """Whether the pattern matches this event type."""
    return _match(pattern.split("."), event_type.split("."))


def _match(pattern: list[str], words: list[str]) -> bool:
    """Takes as few words as possible for each `#` and goes back only to the last one, so a match takes at
    most the product of both lengths."""
    at = position = 0
    last_hash = -1
    resume = 0
    while position < len(words):
        if at < len(pattern) and pattern[at] == ANY_WORDS:
            last_hash, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in (ONE_WORD, words[position]):
            at += 1
            position += 1
        elif last_hash >= 0:
            resume += 1
            at, position = last_hash + 1, resume
        else:
            return False
    return all(word == ANY_WORDS for word in pattern[at:])


def overlaps(a: str, b: str) -> bool:
    """Whether some event type matches both patterns."""
    left, right = a.split("."), b.split(".")
    # reach[j]: whether the rests of both, from the current i and from j, match a common text.
    reach = [False] * (len(right) + 1)
    for i in range(len(left), -1, -1):
        below, reach = reach, [False] * (len(right) + 1)
        for j in range(len(right), -1, -1):
            if i == len(left) and j == len(right):
                reach[j] = True
                continue
            one = left[i] if i < len(left) else None
            other = right[j] if j < len(right) else None
            if one == ANY_WORDS:
                reach[j] = below[j] or (j < len(right) and reach[j + 1])
            elif other == ANY_WORDS:
                reach[j] = reach[j + 1] or (i < len(left) and below[j])
            elif one is not None and other is not None:
                same = one == other or ONE_WORD in (one, other)
                reach[j] = same and below[j + 1]
    return reach[0]


class Matcher(Generic[Value]):
    """Finds the values of all patterns that match an event type. Built once; caches the answers for recent
    types."""

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        self._exact: dict[str, list[tuple[int, Value]]] = {}
        self._patterns: list[tuple[int, list[str], Value]] = []
        self._known: dict[str, tuple[Value, ...]] = {}
        for position, (pattern, value) in enumerate(entries):
            if is_pattern(pattern):
                self._patterns.append((position, pattern.split("."), value))
            else:
                self._exact.setdefault(pattern, []).append((position, value))

    def match(self, event_type: str) -> tuple[Value, ...]:
        """The values of all entries that match this event type, in the given order, each value once."""
        known = self._known.get(event_type)
        if known is not None:
            return known
        words = event_type.split(".")
        found = list(self._exact.get(event_type, ()))
        found += [(at, value) for at, pattern, value in self._patterns if _match(pattern, words)]
        found.sort(key=lambda entry: entry[0])
        answer = tuple(value for _, value in found)
        if len(self._known) >= _REMEMBERED:
            # Callers choose event types, so the cache must be bounded.
            self._known.clear()
        self._known[event_type] = answer
        return answer
