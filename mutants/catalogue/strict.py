"""What is refused because it could not be refused later: fields that nobody knows, kept names, large numbers."""

from mutants.mutant import Mutant

UNKNOWN = "tests/api/test_unknown_fields.py::test_a_change_is_refused_whatever_it_does_not_know"
ANSWERS = "tests/router_endpoints/test_hostile_answers.py::test_an_answer_that_is_not_understood_is_no_success"
DOORS = "tests/api/test_reserved.py::test_json_is_refused_by_place"

MUTANTS = (
    Mutant(
        "strict_unknown_fields_are_dropped",
        "A small request that changes something is refused for a field that is not known",
        "core/rpc/message_reader.py",
        (
            (
                "    message = _built(data, kind)\n    if strict and drop_unknown(message):\n        Walk",
                "    message = _built(data, kind)\n    if False:\n        Walk",
            ),
        ),
        killers=(UNKNOWN,),
    ),
    Mutant(
        "strict_large_ones_are_not_looked_at",
        "A large one, too, is refused by the field's number",
        "core/rpc/message_reader.py",
        (("        if self._strict:\n", "        if False:\n"),),
        killers=(UNKNOWN,),
    ),
    Mutant(
        "strict_every_call_is_a_read",
        "What changes something is told from what reads",
        "core/rpc/unknown_fields.py",
        (("if not service.startswith(_PACKAGE) or name in _READS:", "if name:"),),
        killers=("tests/api/test_unknown_fields.py::test_what_reads_and_what_changes",),
    ),
    Mutant(
        "strict_results_of_a_stream_are_taken_as_they_are",
        "An answer with a field that is not known is no success, over the stream either",
        "router/endpoints/results.py",
        (
            (
                "    return None if drop_unknown(message) else list(message.results)\n",
                "    return list(message.results)\n",
            ),
        ),
        killers=(ANSWERS,),
    ),
    Mutant(
        "strict_numbers_are_rounded",
        "2^53 is refused, as 2^53 + 1 looks just like it",
        "domain/limits.py",
        (("LARGEST_INTEGER = 2**53 - 1\n", "LARGEST_INTEGER = 2**53\n"),),
        killers=(
            "tests/domain/test_structs.py::test_a_whole_number_that_may_have_been_rounded_is_refused_with_its_place",
        ),
    ),
    Mutant(
        "strict_members_are_anybodys",
        "Members that begin with `$waystation.` are refused at every door",
        "conversion/structs.py",
        (('if "\\0" in key or "$" in key:', 'if "\\0" in key:'),),
        killers=(DOORS,),
    ),
    Mutant(
        "strict_paths_lead_anywhere",
        "No operation changes a member that is Waystation's own",
        "domain/pointers.py",
        (("    if _RESERVED_TOKEN in pointer:\n", "    if False:\n"),),
        killers=(
            "tests/domain/test_operations.py::test_what_is_waystations_own_can_not_be_changed",
        ),
    ),
    Mutant(
        "strict_a_task_may_be_the_client",
        "No task has the id by which history means a client or the system",
        "domain/reserved.py",
        (("    if value in _ACTORS:\n", "    if False:\n"),),
        killers=("tests/api/test_reserved.py::test_names_are_refused",),
    ),
    Mutant(
        "strict_only_known_events_are_the_systems",
        "`user.input.*` and `waystation.*` are kept for events that are to come",
        "domain/reserved.py",
        (
            (
                'EVENTS = ("workflow.", "user.input.", PREFIX)',
                'EVENTS = ("workflow.", "user.input.provided", "user.input.timed_out")',
            ),
        ),
        killers=("tests/domain/test_lifecycle.py::test_who_may_raise_what",),
    ),
    Mutant(
        "strict_any_word_on_sizes_is_a_receive_limit",
        "A handler's own RESOURCE_EXHAUSTED is not taken for its server's receive limit",
        "core/rpc/attempts.py",
        ((" and _names(sent.request_bytes, message):", ":"),),
        killers=("tests/rpc/test_attempts.py",),
    ),
    Mutant(
        "strict_a_late_call_reads_as_its_language_says",
        "A call that is over is told alike in every language",
        "core/rpc/attempts.py",
        ((" and not reason and _is_over(sent):", " and False:"),),
        killers=("tests/rpc/test_attempts.py",),
    ),
    Mutant(
        "strict_an_early_deadline_is_called_late",
        "What a handler says of a timeout of its own, long before the call is over, is kept",
        "core/rpc/attempts.py",
        (("    return sent.duration >= sent.timeout - _EARLY_SECONDS\n", "    return True\n"),),
        killers=("tests/rpc/test_attempts.py",),
    ),
    Mutant(
        "strict_an_answer_is_not_measured_with_its_question",
        "The event of an answer keeps the limits of every payload",
        "domain/actions.py",
        (('    storable.check_json(payload, "the payload with this input")\n', ""),),
        killers=(
            "tests/domain/test_actions.py::test_the_event_of_an_answer_keeps_the_limits_of_a_payload",
        ),
    ),
)
