"""What operators are told in numbers."""

from mutants.mutant import Mutant

METERS = "router/meters.py"
TESTS = "tests/metrics/test_meters.py"

MUTANTS = (
    Mutant(
        "a_retry_counts_as_a_wait",
        "Only the first call of a delivery tells how long its event waited",
        METERS,
        (("call.attempt > 1 or call.edit or", "call.edit or"),),
        killers=(f"{TESTS}::test_a_retry_and_what_an_operator_repeats_have_no_wait",),
    ),
    Mutant(
        "a_delay_counts_as_a_wait",
        "The wait of a delayed event begins when it is due",
        METERS,
        (
            (
                "            since, path = event.deliver_at,",
                "            _, path = event.deliver_at,",
            ),
        ),
        killers=(f"{TESTS}::test_a_wait_begins_with_the_commit_or_the_end_of_the_delay[delayed]",),
    ),
    Mutant(
        "labels_without_a_cap",
        "A metric has a bounded number of series",
        "core/metrics/counts.py",
        (("            if len(self._children) >= MOST_LABELS:", "            if False:"),),
        killers=(f"{TESTS}::test_above_the_cap_all_labels_are_other",),
    ),
    Mutant(
        "old_numbers_look_new",
        "While the installation's numbers cannot be read there are none",
        "api/system/gauges.py",
        (("            self._numbers = None\n            raise", "            raise"),),
        killers=(f"{TESTS}::test_the_installation_has_no_numbers_while_they_cannot_be_read",),
    ),
    Mutant(
        "an_answer_without_a_code_is_unknown",
        "A call that was answered counts as OK",
        "core/metrics/rpc_calls.py",
        (('"OK" if ended else "CANCELLED"', '"UNKNOWN" if ended else "CANCELLED"'),),
        killers=(f"{TESTS}::test_calls_are_counted_by_method_and_by_how_they_end",),
    ),
    Mutant(
        "a_failed_workflow_without_a_line",
        "The end of a workflow that failed has its line of log, however many there are",
        "core/relay/ends_log.py",
        (("after.status is Status.FAILED or self.few", "self.few"),),
        killers=(
            "tests/router/test_delivery_log.py::test_each_end_of_a_workflow_has_a_line_while_they_are_few_and_a_failure_always",
        ),
    ),
)
