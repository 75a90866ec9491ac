"""What a failed call to a model server means for the task that made it.

    busy (429, 503) that says until when      RetryAfter, at most MOST_PATIENCE seconds
    busy, broken or gone, too slow            ModelUnavailable: again after the task's backoff
    no money, no rights, no such model        Reject MODEL_NOT_CONFIGURED: somebody has to act
    will not answer this                      Reject MODEL_REFUSED: it would refuse again

What the server said goes nowhere: failures are logged and kept.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import openai

from chat_model.questions import ModelUnavailable
from waystation_worker import Reject, RetryAfter

MOST_PATIENCE = 900.0
"""Seconds. A server that asks for more is asked again meanwhile: what it says may be wrong."""

_BUSY = (429, 503)
_PASSING = (408, 409)
_FILTERED = ("content_filter", "content_policy_violation")
# A 429 as well, but waiting brings no money.
_SPENT = "insufficient_quota"
_CODE = re.compile(r"[a-z][a-z_]{0,59}\Z")


def failure_of(error: openai.APIError) -> Exception:
    """What the task raises instead. Says nothing that the server said, except its error's code."""
    if not isinstance(error, openai.APIStatusError):
        return ModelUnavailable(f"the model server gave no answer ({type(error).__name__})")
    status, code = error.status_code, error.code or ""
    if code in _FILTERED:
        return refusal()
    if status in _BUSY and code != _SPENT:
        seconds = wanted_pause(error.response.headers.get("retry-after"), datetime.now(UTC))
        if seconds is not None:
            return RetryAfter(seconds, "MODEL_BUSY", f"the model server is busy (HTTP {status})")
        return ModelUnavailable(f"the model server is busy (HTTP {status})")
    if status in _PASSING or status >= 500:
        return ModelUnavailable(f"the model server failed (HTTP {status})")
    told = f", {code}" if _CODE.match(code) else ""
    return Reject(
        "MODEL_NOT_CONFIGURED",
        f"the model server does not accept the request (HTTP {status}{told}); check OPENAI_API_KEY, "
        "OPENAI_BASE_URL and OPENAI_MODEL, restart the handler service, and retry this dead letter",
    )


def refusal() -> Reject:
    """The model will not answer: the same question would be refused again."""
    return Reject(
        "MODEL_REFUSED",
        "the model will not answer this; retry it with an edited payload, or discard it",
    )


def wanted_pause(header: str | None, now: datetime) -> float | None:
    """Seconds that a `retry-after` header asks for, as a number or as a date; None where it does
    not say."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        # A date in the zone -0000 is in UTC and comes without one.
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), MOST_PATIENCE)
