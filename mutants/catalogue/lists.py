"""What keeps an answer as small as a client can receive, and a request from being taken for a larger one."""

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "lists_long_names_are_many",
        "A list of texts is counted by its entries, however long they are",
        "core/rpc/message_reader.py",
        (("1 + length // 10 if field.packed else 1)", "1 + length // 10)"),),
        killers=(
            "tests/rpc/test_message_reader.py::test_texts_are_counted_and_numbers_that_lie_packed_are_bounded",
        ),
    ),
    Mutant(
        "lists_pages_have_no_end",
        "A page ends early rather than outgrow a message",
        "api/pages.py",
        (("        if size > self._left:\n", "        if False:\n"),),
        killers=(
            "tests/api/test_reads.py::test_a_page_ends_early_rather_than_outgrow_a_message",
            "tests/api/test_handlers.py::test_tasks_are_listed_where_they_are_asked_for_and_a_page_fits_into_a_message",
        ),
    ),
    Mutant(
        "lists_instances_are_read_in_vain",
        "A portion of a list of instances has a bound in bytes",
        "core/store/workflow_lists.py",
        (('        .where(page.c.bytes_before < bindparam("bytes", type_=Integer))\n', ""),),
        killers=(
            "tests/api/test_reads.py::test_instances_that_a_page_has_no_room_for_are_not_read",
        ),
    ),
    Mutant(
        "lists_registrations_are_endless",
        "A registration that no message could show is refused",
        "api/handlers/registrations.py",
        (("    if size > limits.MAX_BYTES_OF_REGISTRATION:\n", "    if False:\n"),),
        killers=(
            "tests/api/test_handlers.py::test_the_largest_registration_fits_into_a_message_and_a_larger_one_is_refused",
        ),
    ),
    Mutant(
        "lists_what_is_left_out_is_forgotten",
        "An explanation counts what it leaves out",
        "core/store/open_work.py",
        (("found[0][0] - len(found) if found else 0", "0"),),
        killers=("tests/api/test_explanation.py::test_blockers_beyond_the_limit_are_counted",),
    ),
    Mutant(
        "lists_an_unset_variable_is_a_condition",
        "An empty value of a filter is refused",
        "api/filters.py",
        (
            (
                "    if not value:\n        raise InvalidField(\n",
                "    if False:\n        raise InvalidField(\n",
            ),
        ),
        killers=(
            "tests/api/test_bulk_dead_letters.py::test_each_value_of_a_filter_is_one_and_there_are_no_more_than_a_thousand",
        ),
    ),
    Mutant(
        "lists_end_where_they_have_not_looked",
        "A portion of a list of instances is of one moment: what completes meanwhile hides no other",
        "core/store/workflow_lists.py",
        ((" as connection, connection.transaction():\n", " as connection:\n"),),
        killers=(
            "tests/store/test_portions.py::"
            "test_a_list_leaves_nothing_out_that_others_complete_beside",
        ),
    ),
    Mutant(
        "a_rare_type_is_searched_among_all",
        "What few instances have is found at once, however many others there are",
        "core/store/workflow_lists.py",
        (
            (
                '"workflow_type": types[0] if len(types) == 1 else None,',
                '"workflow_type": None,',
            ),
            ('"workflow_types": types if len(types) > 1 else None,', '"workflow_types": types,'),
        ),
        killers=("tests/store/test_portions.py::test_what_few_instances_have_is_found_at_once",),
    ),
)
