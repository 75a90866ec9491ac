"""Reading sums of money as people write them: `1.250,50 €`, `$1,250.50`, `CHF 3'400.-`, `12k EUR`."""

import re
from dataclasses import dataclass

# What one unit is worth in euros. Fixed, so that a claim is decided the same way every day; a real
# insurer asks a rate service.
EUROS = {
    "EUR": 1.0, "USD": 0.92, "GBP": 1.17, "CHF": 1.05, "JPY": 0.0061, "PLN": 0.23, "SEK": 0.088,
    "BRL": 0.17,
}  # fmt: skip

_CURRENCY_NAMES = {
    "EUR": r"€|eur(?:os?)?\b",
    "BRL": r"r\$|reais\b|brl\b",
    "USD": r"us\$|\$|usd\b|dollars?\b|dólares\b",
    "GBP": r"£|gbp\b|pounds?\b",
    "CHF": r"chf\b|sfr\.?|franken\b|francs?\b",
    "JPY": r"¥|jpy\b|yen\b|円",
    "PLN": r"pln\b|zł",
    "SEK": r"sek\b|kr\b|kronor\b",
}
_SCALES = {
    "k": 1e3, "thousand": 1e3, "tausend": 1e3, "tsd": 1e3, "mille": 1e3, "mil": 1e3, "万": 1e4,
    "million": 1e6, "millionen": 1e6, "millions": 1e6, "millones": 1e6, "milioni": 1e6, "mio": 1e6,
    "billion": 1e9, "milliarden": 1e9, "milliards": 1e9,
}  # fmt: skip

_SIGN = r"(?P<sign>(?<![\w\d])[-\u2212])?"
_NUMBER = (
    r"(?P<number>\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3}(?!\d))+(?:[.,]\d{1,2}(?!\d))?"
    r"|\d+(?:[.,]\d{1,2}(?!\d))?)"
)
_SCALE = rf"(?:[ \u00a0]?(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})\b\.?)?"
_CURRENCY = "|".join(f"(?P<{code}>{names})" for code, names in _CURRENCY_NAMES.items())
_GAP = r"[ \u00a0\u202f]?(?:de |di )?"
_BEFORE = re.compile(
    rf"(?<![A-Za-z])(?:{_CURRENCY})[ \u00a0]?{_SIGN}{_NUMBER}{_SCALE}", re.IGNORECASE
)
# A currency with a number after it belongs to that number: "in 2025 EUR 400" is 400, not 2025.
_AFTER = re.compile(
    rf"(?<![\d.,-]){_SIGN}{_NUMBER}{_SCALE}{_GAP}(?:{_CURRENCY})(?![ \u00a0]?\d)", re.IGNORECASE
)
# Words that single one sum out as the claim, and words that rule one out.
_TOTAL = re.compile(
    r"(?<!\w)(?:total\w*|altogether|in all|claim\w*|sum of|insgesamt|gesamt\w*|fordere|"
    r"au total|réclame|en total|reclamo|totale|chiedo|totaal|em tudo|łącznie|合計)\W+(?:\w+\W+){0,4}$",
    re.IGNORECASE,
)
_NOT_CLAIMED = re.compile(
    r"(?<!\w)(?:deductible|excess|selbstbeteiligung|franchise|franquicia|franchigia)"
    r"\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Money:
    """A sum in the currency it was written in."""

    amount: float
    currency: str

    @property
    def in_euros(self) -> float:
        """The sum at the fixed rate."""
        return self.amount * EUROS[self.currency]


def read_amounts(text: str) -> list[Money]:
    """Gives every different sum that could be the claimed one, in order of the text.

    One that the writer calls the total (or "I claim ...") stands alone; deductibles are left out.
    """
    found: dict[int, tuple[Money, bool]] = {}
    for pattern in (_BEFORE, _AFTER):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 60) : match.start()]
            if _NOT_CLAIMED.search(before):
                continue
            found.setdefault(
                match.start("number"), (_money(match), _TOTAL.search(before) is not None)
            )
    ordered = [found[position] for position in sorted(found)]
    totals = [money for money, is_total in ordered if is_total]
    return list(dict.fromkeys(totals or [money for money, _ in ordered]))


def _money(match: re.Match[str]) -> Money:
    currency = next(code for code in _CURRENCY_NAMES if match[code])
    scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
    amount = _number(match["number"]) * scale
    return Money(round(-amount if match["sign"] else amount, 2), currency)


def _number(written: str) -> float:
    """Tells separators of thousands from decimal points by what follows them."""
    digits = re.sub(r"['\u2019 \u00a0\u202f]", "", written)
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return float(digits)
    whole, fraction = re.sub(r"[.,]", "", digits[:last]), digits[last + 1 :]
    return float(whole + fraction) if len(fraction) == 3 else float(f"{whole}.{fraction}")
