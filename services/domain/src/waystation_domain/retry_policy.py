"""How often a failed delivery is retried, and how long it waits before its next attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is retried. Seconds; `jitter` is a share of the wait."""

    max_attempts: int = 5
    initial_backoff: float = 1.0
    multiplier: float = 2.0
    max_backoff: float = 60.0
    jitter: float = 0.2


def delay(attempt: int, policy: RetryPolicy, chance: float) -> float:
    """Seconds from the failure of this attempt (1 is the first) to the next one.

    The jitter is added to or taken from `steady_delay`, as `chance` says, which is 0 to 1: at 0.5 there is
    none. So a wait can exceed the policy's longest by the jitter's share.
    """
    return steady_delay(attempt, policy) * (1.0 + policy.jitter * (2.0 * chance - 1.0))


def steady_delay(attempt: int, policy: RetryPolicy) -> float:
    """The same without jitter: grows by the policy's factor up to its longest wait."""
    if policy.initial_backoff <= 0.0 or policy.max_backoff <= 0.0:
        return 0.0
    steps = max(attempt - 1, 0)
    factor = max(policy.multiplier, 1.0)
    # Compared in logarithms: the factor to the power of a late attempt leaves the range of doubles.
    if steps * math.log(factor) >= math.log(policy.max_backoff / policy.initial_backoff):
        return policy.max_backoff
    return policy.initial_backoff * factor**steps
