"""Calls over one stream: what holds them in bounds and apart from each other."""

from mutants.mutant import Mutant

_TESTS = "tests/api/test_call_streams.py::"
_SDK = "tests/worker_sdk/test_call_stream.py::"

MUTANTS = (
    Mutant(
        "lines_are_not_served_in_turn",
        "A stream of many starts does not stand before those of others",
        "api/batches.py",
        (
            (
                "self._waiting.append(line, _Held(item, size_bytes, future))",
                'self._waiting.append("", _Held(item, size_bytes, future))',
            ),
        ),
        killers=("tests/api/test_batches.py::test_lines_are_served_in_turn",),
    ),
    Mutant(
        "a_stream_takes_any_number_of_starts",
        "Of what a client sends no more is taken up than may be unstored",
        "api/workflows/call_streams.py",
        (("            self._starting >= MOST_STARTING\n", "            False\n"),),
        killers=(f"{_TESTS}test_starts_that_are_not_stored_hold_up_what_comes_after_them",),
    ),
    Mutant(
        "a_cancelled_start_keeps_its_place",
        "Whatever ends an item frees the place of its start",
        "api/workflows/call_streams.py",
        (
            (
                "        self._is_stored(held)\n        del self._items",
                "        del self._items",
            ),
        ),
        killers=(f"{_TESTS}test_what_is_cancelled_before_it_has_begun_leaves_its_place",),
    ),
    Mutant(
        "results_that_nobody_reads_are_kept",
        "What a client does not read is kept without the instances",
        "api/workflows/call_streams.py",
        (("self._ready_bytes > MOST_UNSENT_BYTES:", "False:"),),
        killers=(f"{_TESTS}test_of_what_a_client_does_not_read_little_is_kept",),
    ),
    Mutant(
        "a_bad_item_ends_its_stream",
        "What is wrong with an item is told in its result",
        "api/workflows/call_streams.py",
        (("except (DecodeError, WaystationError) as error:", "except DecodeError as error:"),),
        killers=(f"{_TESTS}test_an_invalid_item_affects_no_other",),
    ),
    Mutant(
        "a_broken_stream_fails_its_calls",
        "The client sends again what had no answer when its stream broke",
        "worker_sdk/call_stream.py",
        (
            (
                "call.future.set_exception(broken or CallFailed(_CUT))",
                "call.future.cancel()",
            ),
        ),
        killers=(f"{_SDK}test_a_broken_stream_loses_no_call",),
    ),
    Mutant(
        "results_pile_up_while_items_are_taken",
        "Nothing more is taken up while results that nobody reads pile up",
        "api/workflows/call_streams.py",
        (("            or len(self._ready) >= MOST_READY\n", ""),),
        killers=(f"{_TESTS}test_nothing_more_is_read_while_results_pile_up",),
    ),
    Mutant(
        "patience_begins_with_the_call",
        "A call is tried again for so long after it failed, however long it lasted before",
        "worker_sdk/connection.py",
        (
            (
                "        window: RetryWindow | None = None\n",
                "        window = RetryWindow(self.retry_for)\n",
            ),
        ),
        killers=(f"{_SDK}test_the_time_for_tries_begins_with_the_first_failure",),
    ),
)
