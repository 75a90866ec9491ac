"""The extractor reads what people write, and leaves open what they leave open."""

from datetime import date

import pytest

from insurance_claim.amounts import Money, read_amounts
from insurance_claim.claim import Claim
from insurance_claim.dates import read_date
from insurance_claim.extractor import (
    UnreadableText,
    extract,
    read_answer,
    read_claim_type,
    read_policy_number,
    tells_of_injury,
)

RECEIVED = date(2025, 3, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the garage wants $1,850.50", [Money(1850.5, "USD")]),
        ("es kostet 1.250,50 €", [Money(1250.5, "EUR")]),
        ("Kosten: CHF 3'400.-", [Money(3400, "CHF")]),
        ("une facture de 12 500 €", [Money(12500, "EUR")]),
        ("I paid £950", [Money(950, "GBP")]),
        ("修理代は¥85,000です", [Money(85000, "JPY")]),
        ("around 12k EUR", [Money(12000, "EUR")]),
        ("3.5 million euros", [Money(3_500_000, "EUR")]),
        ("R$ 1.299,90 no total", [Money(1299.9, "BRL")]),
        ("1.500 euros", [Money(1500, "EUR")]),
        ("a refund of -50 €", [Money(-50, "EUR")]),
        ("in 2025 EUR 400 were paid", [Money(400, "EUR")]),
        ("€400 or €4,000, I forget", [Money(400, "EUR"), Money(4000, "EUR")]),
        ("€310 and €740, in total €1,050", [Money(1050, "EUR")]),
        ("the deductible is €250, repairs are €900", [Money(900, "EUR")]),
        ("room 12, 3 nights, call 555 1234", []),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, expected: list[Money]) -> None:
    assert read_amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("on 2025-02-11", "en", date(2025, 2, 11)),
        ("am 3. März 2025", "de", date(2025, 3, 3)),
        ("am 03.02.25 um 8 Uhr", "de", date(2025, 2, 3)),
        ("March 4th, 2025", "en", date(2025, 3, 4)),
        ("le 1er février 2025", "fr", date(2025, 2, 1)),
        ("el 23 de diciembre", "es", date(2024, 12, 23)),
        ("il 9 febbraio 2025", "it", date(2025, 2, 9)),
        ("3月5日に", "ja", date(2025, 3, 5)),
        ("18 lutego 2025", "pl", date(2025, 2, 18)),
        ("Es steht hier im Flur", "de", None),
        ("Hier soir", "fr", date(2025, 3, 9)),
        ("vorgestern", "de", date(2025, 3, 8)),
        ("on 31 February 2025", "en", None),
        ("last week, I think", "en", None),
        ("you may 12 times ask", "en", date(2024, 5, 12)),
    ],
)
def test_days_are_read_as_people_write_them(
    text: str, language: str, expected: date | None
) -> None:
    assert read_date(text, RECEIVED, language) == expected


def test_a_numeric_day_that_could_be_read_twice_goes_by_the_writers_custom() -> None:
    assert read_date("03/04/2024", RECEIVED) == date(2024, 4, 3)
    assert read_date("03/04/2024", RECEIVED, month_first=True) == date(2024, 3, 4)
    assert read_date("25/04/2024", RECEIVED, month_first=True) == date(2024, 4, 25)
    assert extract("$900 of car trouble on 03/04/2024", RECEIVED).incident_date == "2024-03-04"


def test_policy_numbers_need_six_digits_and_only_one_may_be_named() -> None:
    assert read_policy_number("policy car 104233.") == "CAR-104233"
    assert read_policy_number("CAR-10423") is None
    assert read_policy_number("CAR-1042330") is None
    assert read_policy_number("CAR-104233, or was it HOM-104233?") is None
    assert read_policy_number("CAR-104233 (yes, CAR-104233)") == "CAR-104233"


def test_the_type_is_open_on_a_tie_unless_the_policy_decides() -> None:
    text = "I fell in the hotel and went to the hospital"
    assert read_claim_type(text, None) is None
    assert read_claim_type(text, "HLT-111111") == "health"
    assert read_claim_type(text, "CAR-111111") is None
    assert read_claim_type("I take care of the carpet", None) is None


def test_injuries_count_unless_denied() -> None:
    assert tells_of_injury("my passenger was injured")
    assert not tells_of_injury("luckily nobody was injured")
    assert not tells_of_injury("Es wurde niemand dabei verletzt")
    assert not tells_of_injury("怪我はありません")


@pytest.mark.parametrize(
    "text", [None, 12, "", "  \n", "%PDF-1.4\n%", "PK\x03\x04", "a\x01\x02\x03"]
)
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(UnreadableText):
        extract(text, RECEIVED)


def test_an_answer_is_read_from_fields_or_words_and_nonsense_stays_open() -> None:
    fields = read_answer(
        {"amount": "1.200,50 €", "policy_number": "car-104233", "claim_type": "boat"},
        RECEIVED,
        "de",
    )
    assert (fields.amount, fields.currency) == (1200.5, "EUR")
    assert fields.policy_number == "CAR-104233"
    assert fields.claim_type is None
    words = read_answer({"answer": "Es war gestern, HOM-220011"}, RECEIVED, "de")
    assert (words.incident_date, words.policy_number) == ("2025-03-09", "HOM-220011")
    assert read_answer({"amount": True, "incident_date": "soon"}, RECEIVED, "en") == Claim()


def test_an_answer_fills_gaps_and_changes_nothing_that_is_known() -> None:
    known = Claim(claim_type="car", amount=900.0, currency="GBP", language="en")
    answer = Claim(amount=5.0, currency="EUR", policy_number="CAR-104233", language="de")
    filled = known.completed_by(answer)
    assert (filled.amount, filled.currency, filled.language) == (900.0, "GBP", "en")
    assert filled.policy_number == "CAR-104233"
    assert filled.missing() == ["incident_date"]
    assert Claim.from_data(filled.to_data()) == filled
