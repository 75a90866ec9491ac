"""Durations and sizes in texts for people."""

from __future__ import annotations

import pytest

from waystation_domain.units import duration, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "0.2 s"),
        (90, "90 s"),
        (150, "2 min 30 s"),
        (3_600, "1 h"),
        (86_400, "24 h"),
        (86_400 * 3 + 60, "3 days 1 min"),
        (366 * 86_400, "366 days"),
        (31_622_401, "366 days 1 s"),
        (366 * 86_400 + 0.5, "366 days 0.5 s"),
        (-90, "-90 s"),
    ],
)
def test_a_duration_has_the_units_that_people_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1_000, "1,000 bytes"),
        (4_096, "4 KiB"),
        (1_048_576, "1 MiB"),
        (1_048_577, "1,048,577 bytes"),
        (8 * 1_048_576, "8 MiB"),
    ],
)
def test_a_size_has_the_units_that_people_use(number: int, text: str) -> None:
    assert size(number) == text
