"""Reads the facts of a claim out of free text by rules: no model, no network, the same every time."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, TypeVar

from insurance_claim.amounts import EUROS, Money, read_amounts
from insurance_claim.claim import Claim
from insurance_claim.dates import read_date
from insurance_claim.vocabulary import (
    CLAIM_TYPES,
    DAMAGE_PATTERNS,
    INJURY_PATTERN,
    JAPANESE,
    LANGUAGE_PATTERNS,
    NEGATION_BEFORE,
    POLICY_PREFIXES,
    SUSPICION_PATTERNS,
    TYPE_PATTERNS,
)

_T = TypeVar("_T")
_POLICY = re.compile(
    rf"(?<!\w)({'|'.join(POLICY_PREFIXES)})[-\u2013 ]?(\d{{6}})(?!\d)", re.IGNORECASE
)
# A scan or an office file pasted as text: its first bytes, or control characters all over.
_BINARY = re.compile("^(?:%PDF|PK\x03|\x89PNG|{\\\\rtf)|[\x01-\x08\x0e-\x1f\ufffd]{3}")


class UnreadableText(ValueError):
    """The text is empty or is no text; only a person can get a claim out of it."""


def extract(text: object, received_on: date, language: str | None = None) -> Claim:
    """Gives the claim that a text tells, with None for what it leaves open.

    `received_on` is the day that "yesterday" and days without a year are counted from. A language that
    is known already spares the guess, which short texts get wrong.

    Raises:
        UnreadableText: there is nothing to read.
    """
    text = check_readable(text)
    language = language or read_language(text)
    money = _only(read_amounts(text))
    policy_number = read_policy_number(text)
    incident = read_date(
        text, received_on, language, month_first=money is not None and money.currency == "USD"
    )
    return Claim(
        claim_type=read_claim_type(text, policy_number),
        amount=money.amount if money else None,
        currency=money.currency if money else None,
        incident_date=incident.isoformat() if incident else None,
        policy_number=policy_number,
        language=language,
        injured=tells_of_injury(text),
        damage=tuple(part for part, pattern in DAMAGE_PATTERNS.items() if pattern.search(text)),
        suspicions=tuple(
            cue for cue, pattern in SUSPICION_PATTERNS.items() if pattern.search(text)
        ),
    )


def check_readable(text: object) -> str:
    """Gives the text back when it is one.

    Raises:
        UnreadableText: there is nothing to read.
    """
    if not isinstance(text, str) or not text.strip():
        raise UnreadableText("the claim has no text")
    if _BINARY.search(text):
        raise UnreadableText("the text is a scanned or binary document, not words")
    return text


def read_answer(answer: Mapping[str, Any], received_on: date, language: str) -> Claim:
    """Gives the facts in a person's answer: fields named after facts, or words under `answer`.

    What cannot be read stays None, so that it is asked again.
    """
    words = answer.get("answer")
    told = (
        extract(words, received_on, language)
        if isinstance(words, str) and words.strip()
        else Claim()
    )
    claim_type = answer.get("claim_type")
    money = _money(answer) or (told.money if told.amount is not None else None)
    policy_number = read_policy_number(str(answer.get("policy_number", ""))) or told.policy_number
    day = read_date(str(answer.get("incident_date", "")), received_on, language)
    return Claim(
        claim_type=claim_type if claim_type in CLAIM_TYPES else told.claim_type,
        amount=money.amount if money else None,
        currency=money.currency if money else None,
        incident_date=day.isoformat() if day else told.incident_date,
        policy_number=policy_number,
    )


def read_language(text: str) -> str:
    """Guesses the language by its commonest words; English when nothing tells."""
    if JAPANESE.search(text):
        return "ja"
    hits = {code: len(pattern.findall(text)) for code, pattern in LANGUAGE_PATTERNS.items()}
    return max(hits, key=lambda code: hits[code])


def tells_of_injury(text: str) -> bool:
    """Says whether somebody was hurt."""
    return any(
        not NEGATION_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
        for match in INJURY_PATTERN.finditer(text)
    )


def read_policy_number(text: str) -> str | None:
    """Gives the policy number as `CAR-123456`; None where none, or more than one, is named."""
    return _only(list(dict.fromkeys(f"{m[1].upper()}-{m[2]}" for m in _POLICY.finditer(text))))


def read_claim_type(text: str, policy_number: str | None) -> str | None:
    """Gives the type with most different words in the text; on a tie the policy number decides."""
    words = {
        kind: len({match.lower() for match in pattern.findall(text)})
        for kind, pattern in TYPE_PATTERNS.items()
    }
    best = max(words.values())
    leaders = [kind for kind, count in words.items() if count == best]
    if best and len(leaders) == 1:
        return leaders[0]
    covered = POLICY_PREFIXES[policy_number[:3]] if policy_number else None
    return covered if covered in leaders else None


def _money(answer: Mapping[str, Any]) -> Money | None:
    amount, currency = answer.get("amount"), answer.get("currency", "EUR")
    if isinstance(amount, int | float) and not isinstance(amount, bool) and currency in EUROS:
        return Money(amount, currency)
    return _only(read_amounts(amount)) if isinstance(amount, str) else None


def _only(found: list[_T]) -> _T | None:
    return found[0] if len(found) == 1 else None
