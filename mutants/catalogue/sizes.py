"""What is stored is bounded, so that no message is larger than what is received by default."""

from mutants.mutant import Mutant

_SIZES = "tests/rpc/test_sizes.py::"
_BOUNDED = _SIZES + "test_questions_and_changes_are_bounded_together"
_WORST = _SIZES + "test_the_worst_message_fits_into_what_grpc_receives"

MUTANTS = (
    Mutant(
        "questions_without_a_sum",
        "All open questions of an instance fit into one message with it",
        "domain/replies.py",
        (("    if waits:\n        open_now = ", "    if waits and False:\n        open_now = "),),
        killers=(_BOUNDED,),
    ),
    Mutant(
        "forms_with_any_number_of_values",
        "Small numbers take five times as much as Structs: values are counted too",
        "domain/replies.py",
        (("    if nodes > limits.MAX_NODES:\n", "    if nodes < 0:\n"),),
        killers=(_BOUNDED,),
    ),
    Mutant(
        "a_change_of_any_size",
        "An entry of history fits into one message",
        "domain/operations.py",
        (
            (
                '        "the change",\n        limits.MAX_CHANGE_BYTES,\n',
                '        "the change",\n        2 * limits.MAX_CHANGE_BYTES,\n',
            ),
        ),
        killers=(_BOUNDED,),
    ),
    Mutant(
        "a_patch_is_written_out_first",
        "A merge patch is refused before its operations are made: 1 MiB of it may be gigabytes",
        "domain/operations.py",
        (("        named += len(place)\n", ""),),
        killers=(_SIZES + "test_a_patch_that_names_too_much_is_refused_before_it_is_made",),
    ),
    Mutant(
        "details_as_large_as_data",
        "What a failure tells beside its message leaves room for the rest",
        "domain/limits.py",
        (("MAX_DETAILS_BYTES = 64 * 1024\n", "MAX_DETAILS_BYTES = MAX_BYTES\n"),),
        killers=(_WORST,),
    ),
    Mutant(
        "history_as_if_it_were_alone",
        "A delivery's history takes what room its request leaves",
        "conversion/history.py",
        (
            (
                "        limits.MAX_MESSAGE_BYTES - request.ByteSize() - _AROUND_HISTORY_BYTES,\n",
                "        limits.MAX_MESSAGE_BYTES,\n",
            ),
        ),
        killers=(_WORST,),
    ),
    Mutant(
        "history_of_another_version",
        "A delivery's history ends with the version that its context shows",
        "router/calls.py",
        (
            (
                "            if handling.state.instance.version == instance.version:\n",
                "            if found is not None:\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::"
            "test_the_newest_entries_come_with_a_delivery_up_to_the_version_that_it_shows",
        ),
    ),
    Mutant(
        "cancels_all_at_once",
        "Whatever waits for a stream goes out in messages of a bounded size",
        "router/endpoints/stream.py",
        (
            ("in self._cancels[:MAX_CANCELS]:\n", "in self._cancels:\n"),
            (
                "            del self._cancels[:MAX_CANCELS]\n",
                "            self._cancels.clear()\n",
            ),
        ),
        killers=(
            "tests/router_endpoints/test_stream.py::"
            "test_items_and_cancels_are_cut_into_several_messages",
        ),
    ),
    Mutant(
        "a_page_of_history_of_any_size",
        "Pages of history end before they are too large",
        "api/workflows/reads.py",
        (
            (
                "                size += entry.ByteSize()\n"
                "                if response.entries and size > MAX_PAGE_BYTES:\n",
                "                if response.entries and size > MAX_PAGE_BYTES:\n",
            ),
        ),
        killers=(
            "tests/api/test_history.py::"
            "test_a_page_ends_before_it_is_too_large_and_one_large_entry_is_alone",
        ),
    ),
)
