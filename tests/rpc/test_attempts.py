"""What a status says of an attempt, with what is known of the call."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from waystation_core.rpc.attempts import Sent, error_of_status, late

SENT = Sent(request_bytes=5_000_123, timeout=5.0, duration=0.2)
REFUSED = {
    "Go": "grpc: received message larger than max (5000123 vs. 4194304)",
    "Java": "gRPC message exceeds maximum size 4194304: 5000123",
    "Node": "Received message larger than max (5000123 vs 4194304)",
    "C": "SERVER: Received message larger than max (5000123 vs. 4194304)",
    "Rust": "Error, decoded message length too large: found 5000123 bytes, the limit is: 4194304 bytes",
}


@pytest.mark.parametrize("language", REFUSED)
def test_a_request_above_an_endpoints_limit_is_named_so(language: str) -> None:
    code = StatusCode.OUT_OF_RANGE if language == "Rust" else StatusCode.RESOURCE_EXHAUSTED
    error = error_of_status(code, REFUSED[language], (), SENT)
    assert error.message.startswith(REFUSED[language])
    assert (
        "receive limit of the endpoint's gRPC server: set the limit to at least 4194304 bytes"
        in error.message
    )
    # Retried as any other: nothing but the words rests on what they say.
    assert (error.code, error.reason, error.permanent) == (
        code.name,
        code.name,
        language == "Rust",
    )


@pytest.mark.parametrize(
    "said",
    ["grpc: received message larger than max (5000000 vs. 4194304)", "15000123 requests", "busy"],
)
def test_what_a_handler_says_itself_of_sizes_stays_as_it_is(said: str) -> None:
    error = error_of_status(StatusCode.RESOURCE_EXHAUSTED, said, (), SENT)
    assert (error.message, error.permanent) == (said, False)


def test_a_call_that_is_over_is_late_in_every_language() -> None:
    over = Sent(100, timeout=5.0, duration=4.95)
    for words in ("Stream removed (Deadline Exceeded)", "context deadline exceeded", ""):
        assert error_of_status(StatusCode.DEADLINE_EXCEEDED, words, (), over) == late(5.0)
    # Its handler's own, long before: what it called was late.
    early = error_of_status(StatusCode.DEADLINE_EXCEEDED, "the bank is slow", (), SENT)
    assert (early.reason, early.message) == ("CALL_TIMED_OUT", "the bank is slow")
