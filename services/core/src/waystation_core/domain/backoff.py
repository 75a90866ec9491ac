"""How long a failed delivery waits before its next attempt."""

from __future__ import annotations

import math
from random import Random

from waystation_core.domain.model import RetryPolicy


def delay(attempt: int, policy: RetryPolicy, rng: Random) -> float:
    """Seconds from the failure of this attempt (1 is the first) to the next one.

    Grows by the policy's factor up to its longest wait; the jitter is added to or taken from that,
    so a wait can exceed the longest by the jitter's share.
    """
    if policy.initial_backoff <= 0.0 or policy.max_backoff <= 0.0:
        return 0.0
    steps = max(attempt - 1, 0)
    factor = max(policy.multiplier, 1.0)
    # Compared in logarithms: the factor to the power of a late attempt leaves the range of doubles.
    if steps * math.log(factor) >= math.log(policy.max_backoff / policy.initial_backoff):
        wait = policy.max_backoff
    else:
        wait = policy.initial_backoff * factor**steps
    return wait * (1.0 + policy.jitter * rng.uniform(-1.0, 1.0))
