"""Signed calls: who may call a handler service, and what its refusal means to a router."""

from mutants.mutant import Mutant

SIGNING = "core/identity/signatures.py"
CHECKING = "worker_sdk/router_identity.py"
CONDITION = "router/endpoints/condition.py"
TESTS = "tests/identity/test_signatures.py::"
VECTORS = f"{TESTS}test_the_sdk_judges_each_vector"
ANOTHER = (
    f"{TESTS}test_another_endpoint_is_called_and_the_one_that_refused_is_asked_now_and_then[single]"
)
ADMITTED = f"{TESTS}test_a_signed_call_is_admitted_and_no_other"

MUTANTS = (
    Mutant(
        "a_signature_is_for_every_service",
        "A signature for one service is not admitted by another",
        CHECKING,
        (("    if audience != service_name:\n", "    if False:\n"),),
        killers=(f"{VECTORS}[for another service]",),
    ),
    Mutant(
        "a_signature_never_expires",
        "A signature is worth nothing after its end",
        CHECKING,
        (("    if now >= expires + LEEWAY_SECONDS:\n", "    if False:\n"),),
        killers=(f"{VECTORS}[expired]",),
    ),
    Mutant(
        "any_key_signs",
        "Only keys that the service knows count",
        CHECKING,
        (("    if not isinstance(kid, str) or kid not in keys:\n", "    if kid is None:\n"),),
        killers=(f"{VECTORS}[by an unknown key]",),
    ),
    Mutant(
        "nobody_looks_at_the_signature",
        "What is signed is what is believed",
        CHECKING,
        (("    if not _is_signed(signed, signature, kid):\n", "    if False:\n"),),
        killers=(f"{VECTORS}[longer claims]",),
    ),
    Mutant(
        "a_key_that_is_gone_is_remembered",
        "What a removed key has signed is not admitted any more",
        CHECKING,
        (("            self._admitted.clear()\n", ""),),
        killers=(f"{TESTS}test_a_removed_key_is_worth_nothing_at_once",),
    ),
    Mutant(
        "no_keys_admit_everybody",
        "An empty list of keys is a fault, not an open door",
        CHECKING,
        (("    if wrong or not found:\n", "    if wrong:\n"),),
        killers=(f"{TESTS}test_no_key_at_all_is_no_door_that_stands_open",),
    ),
    Mutant(
        "the_oldest_signature_is_sent",
        "A signature that is sent is valid for half a minute at least",
        SIGNING,
        (("< RENEW_SECONDS:\n", "< VALID_SECONDS + RENEW_SECONDS:\n"),),
        killers=(f"{TESTS}test_a_signature_is_made_once_in_half_a_minute_for_each_service",),
    ),
    Mutant(
        "others_may_read_the_signing_key",
        "A signing key that others can read is refused",
        SIGNING,
        (
            (
                "        if mode & (stat.S_IRWXO | stat.S_IWGRP):\n",
                "        if mode & stat.S_IWGRP:\n",
            ),
        ),
        killers=(f"{TESTS}test_keys_that_cannot_be_used_are_refused_with_what_to_do",),
    ),
    Mutant(
        "a_refused_call_is_an_attempt",
        "A call that a handler refuses for its signature is no attempt",
        "router/endpoints/connected_endpoint.py",
        (("        if refuses_caller(error):\n", "        if False:\n"),),
        killers=(f"{ADMITTED}[single]",),
    ),
    Mutant(
        "a_refused_stream_is_a_cut",
        "A stream that ends with UNAUTHENTICATED before its first result has begun nothing",
        "router/endpoints/connected_endpoint.py",
        (
            (
                "        elif status is grpc.StatusCode.UNAUTHENTICATED and not stream.spoke:\n",
                "        elif False:\n",
            ),
        ),
        killers=(f"{ADMITTED}[batched]",),
    ),
    Mutant(
        "an_endpoint_that_refuses_is_asked_again_and_again",
        "An endpoint that does not know this router gets one call in five seconds",
        CONDITION,
        (("            and now >= self._not_asked_until\n", ""),),
        killers=(f"{ADMITTED}[single]",),
    ),
    Mutant(
        "a_refusal_is_remembered_for_ever",
        "An endpoint that takes calls again is in order again",
        CONDITION,
        (
            (
                '        """The endpoint took a call and answered."""\n'
                "        if self._refusal is not None:\n",
                '        """The endpoint took a call and answered."""\n        if False:\n',
            ),
        ),
        killers=(ANOTHER,),
    ),
    Mutant(
        "a_failed_write_hides_the_status",
        "A stream that an endpoint ends at once ends with the endpoint's status, not as an interrupted call",
        "router/endpoints/stream.py",
        (
            (
                "            self._loop.call_later(STATUS_SECONDS, self._rpc.cancel)\n",
                "            self._rpc.cancel()\n",
            ),
        ),
        killers=(
            "tests/router_endpoints/test_stream.py::"
            "test_a_write_that_fails_leaves_the_endpoint_time_to_say_why",
        ),
    ),
)
