"""How many examples a property is tried with: a share of what the profile says (`HYPOTHESIS_PROFILE`)."""

from hypothesis import settings


def examples(share: float) -> settings:
    """Settings for a property whose examples are dear: so large a share of the usual number."""
    return settings(max_examples=max(1, round(settings().max_examples * share)))
