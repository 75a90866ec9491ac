"""Waits grow by their factor, stop at the longest, and stay within their jitter for any attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from waystation_domain.retry_policy import RetryPolicy, delay


def test_the_default_policy_without_jitter() -> None:
    policy = RetryPolicy(jitter=0.0)
    waits = [delay(attempt, policy, 0.5) for attempt in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@given(
    st.integers(1, 1_000),
    st.floats(0.001, 1_000),
    st.floats(1, 100),
    st.floats(0.001, 86_400),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_outside_its_borders(
    attempt: int, initial: float, multiplier: float, longest: float, jitter: float, chance: float
) -> None:
    policy = RetryPolicy(1_000, initial, multiplier, longest, jitter)
    wait = delay(attempt, policy, chance)
    middle = delay(attempt, RetryPolicy(1_000, initial, multiplier, longest, 0.0), 0.25)
    assert 0.0 < middle <= longest * 1.000001
    assert middle * (1 - jitter) - 1e-9 <= wait <= middle * (1 + jitter) + 1e-9
