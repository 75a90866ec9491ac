"""What the SDK tells the people who write handlers."""

from mutants.mutant import Mutant

_LOG = "tests/worker_sdk/test_failure_log.py::"

MUTANTS = (
    Mutant(
        "a_failure_is_whole_only_once",
        "A failure that comes back is written whole again",
        "worker_sdk/failure_log.py",
        (("now - known.since >= WHOLE_EVERY", "False"),),
        killers=(f"{_LOG}test_after_a_minute_the_same_failure_is_whole_again",),
    ),
    Mutant(
        "failures_at_other_places_are_the_same",
        "A failure is known by its task, its class and its place",
        "worker_sdk/failure_log.py",
        (("type(error), place, *places[-1:]", "type(error)"),),
        killers=(f"{_LOG}test_failures_of_another_task_class_or_place_are_others",),
    ),
    Mutant(
        "a_late_start_is_given_up",
        "A start without an answer in time is asked again",
        "worker_sdk/client.py",
        (("_START_SECONDS, late_again=True", "_START_SECONDS"),),
        killers=(
            "tests/worker_sdk/test_call_stream.py::test_a_start_without_an_answer_in_time_is_asked_again",
        ),
    ),
    Mutant(
        "a_misspelt_option_of_a_class_is_the_tasks_own",
        "A misspelt option of a class is refused",
        "worker_sdk/class_style.py",
        (
            (
                "    if misspelt := _misspelt(task):\n",
                "    if (misspelt := _misspelt(task)) and False:\n",
            ),
        ),
        killers=("tests/worker_sdk/test_styles.py::test_a_misspelt_option_of_a_class_is_refused",),
    ),
    Mutant(
        "an_ipv6_address_needs_no_brackets",
        "An address that gRPC would read as another one is refused",
        "worker_sdk/addresses.py",
        (("    return host if _NAME.match(host) else None\n", "    return host or None\n"),),
        killers=("tests/worker_sdk/test_addresses.py",),
    ),
    Mutant(
        "a_duration_of_a_client_is_not_read",
        "Whatever takes a duration takes seconds and timedelta alike",
        "worker_sdk/connection.py",
        (('times.seconds_of(retry_for, "retry_for")', "retry_for  # type: ignore[assignment]"),),
        killers=("tests/worker_sdk/test_durations.py",),
    ),
    Mutant(
        "any_word_means_all_dead_letters",
        "What is not True or False does not choose all dead letters",
        "worker_sdk/dead_letters.py",
        (('        if flag(every_one, "all"):\n', "        if every_one:\n"),),
        killers=(
            "tests/worker_sdk/test_wrong_use.py::"
            "test_a_wrong_argument_of_a_client_is_named_and_nothing_is_sent[all of them]",
        ),
    ),
    Mutant(
        "no_condition_means_all_dead_letters",
        "A client names which dead letters, or says that it means all",
        "worker_sdk/dead_letters.py",
        (
            (
                "            if request.filter == dead_letter_pb2.DeadLetterFilter():\n",
                "            if False:\n",
            ),
        ),
        killers=(
            "tests/worker_sdk/test_client_operators.py::"
            "test_many_dead_letters_are_chosen_by_a_condition_or_by_all_of_them",
        ),
    ),
)
