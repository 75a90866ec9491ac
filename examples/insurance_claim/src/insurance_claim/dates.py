"""Reading the day something happened as people write it, in nine languages."""

import re
from datetime import date, timedelta

from insurance_claim.vocabulary import MONTHS, RELATIVE_DAYS, RELATIVE_PATTERNS

_MONTH = "|".join(sorted(map(re.escape, MONTHS), key=len, reverse=True))
_ISO = re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)")
_JAPANESE = re.compile(r"(?:(?P<year>\d{4})年)?(?P<month>\d{1,2})月(?P<day>\d{1,2})日")
_NUMERIC = re.compile(
    r"(?<![\d.])(?P<first>\d{1,2})[./](?P<second>\d{1,2})[./](?P<year>\d{4}|\d{2})(?![\d])"
)
_DAY_MONTH = re.compile(
    rf"(?<!\d)(?P<day>\d{{1,2}})(?:\.|st|nd|rd|th|er|º)?\s+(?:de\s+|of\s+)?(?P<name>{_MONTH})\b\.?"
    r"(?:,?\s+(?:de\s+|do\s+)?(?P<year>\d{4}))?",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"(?<!\w)(?P<name>{_MONTH})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)"
    r"(?:,?\s+(?P<year>\d{4}))?",
    re.IGNORECASE,
)


def read_date(
    text: str, received_on: date, language: str = "en", month_first: bool = False
) -> date | None:
    """Gives the first day named in the text, or None.

    A day without a year is the last such day up to `received_on`. `month_first` decides dates such
    as 03/04/2025 where both readings are possible.
    """
    candidates: list[tuple[int, date]] = []
    for pattern in (_ISO, _JAPANESE, _NUMERIC, _DAY_MONTH, _MONTH_DAY):
        for match in pattern.finditer(text):
            day = _from_match(match, received_on, month_first)
            if day is not None:
                candidates.append((match.start(), day))
    if relative := RELATIVE_PATTERNS[language].search(text):
        days = RELATIVE_DAYS[language][relative[0].lower()]
        candidates.append((relative.start(), received_on - timedelta(days=days)))
    return min(candidates)[1] if candidates else None


def _from_match(match: re.Match[str], received_on: date, month_first: bool) -> date | None:
    parts = match.groupdict()
    if "first" in parts:
        day, month = int(parts["first"]), int(parts["second"])
        if month > 12 or (month_first and day <= 12):
            day, month = month, day
    else:
        day = int(parts["day"])
        month = MONTHS[parts["name"].lower()] if "name" in parts else int(parts["month"])
    year = int(parts["year"]) if parts["year"] else received_on.year
    try:
        read = date(year + 2000 if year < 100 else year, month, day)
        if not parts["year"] and read > received_on:
            return read.replace(year=read.year - 1)
    except ValueError:
        # 31 February, or month 15: a slip of the pen is no date.
        return None
    return read
