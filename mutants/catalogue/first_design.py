"""The five faults of the engine's first design, each put back."""

from mutants.mutant import Mutant

RESULTS = "domain/results.py"
ORDERS = "tests/model/test_interleaving.py::test_two_commits_in_every_order"

MUTANTS = (
    Mutant(
        "five_publishing_apart_from_saving",
        "What is raised is written with what raised it, and announced from what is written",
        "core/store/statements.py",
        (
            (
                '    FROM {_OUTBOX_INPUT.format(key="bigint")} WHERE {_WRITTEN.format(of="o")}\n',
                '    FROM {_OUTBOX_INPUT.format(key="bigint")} WHERE false\n',
            ),
        ),
        killers=("tests/store/test_engine.py::test_what_was_decided_is_stored",),
    ),
    Mutant(
        "five_lost_update",
        "Of two results that were computed from one version none is lost",
        "domain/draft.py",
        (
            (
                "            write for logged in self._log if logged.version > version",
                "            write for logged in () if logged.version > version",
            ),
        ),
        killers=("tests/domain/test_results_conflicts.py::test_a_result_from_an_older_version",),
    ),
    Mutant(
        "five_join_decided_on_a_private_copy",
        "Whether a group is settled is decided by what the lock shows, not by a router's copy",
        "router/locked_commits.py",
        (
            (
                "            draft = decision.draft()\n",
                "            copy, locked = found[0].handling.state.instance, decision.locked\n"
                "            locked.instance = replace(locked.instance, groups=copy.groups)\n"
                "            draft = decision.draft()\n",
            ),
        ),
        killers=(ORDERS,),
    ),
    Mutant(
        "five_the_first_failure_blocks_the_rest",
        "One failing delivery holds back no other",
        RESULTS,
        (
            (
                "    treatment = draft.treatment(event)\n    if treatment is Treatment.HOLD:\n        _hold(draft, row)\n        return Verdict.HELD\n",
                "    if any(other.last_error for other in draft.facts(event.event_id).deliveries.values()):\n"
                "        return Verdict.WAIT\n"
                "    treatment = draft.treatment(event)\n    if treatment is Treatment.HOLD:\n        _hold(draft, row)\n        return Verdict.HELD\n",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_a_failure_comes_before_another_result_of_the_event_and_stops_nothing",
        ),
    ),
    Mutant(
        "five_no_dedupe",
        "A delivery's result takes effect once, however often it comes",
        RESULTS,
        (
            (
                "    if row is None or row.edit != result.edit or row.state is DeliveryState.DEAD:\n"
                "        return Verdict.DUPLICATE\n",
                "    if row is None:\n"
                "        row = Delivery(event.event_id, result.task.task_id, DeliveryState.LEASED)\n",
            ),
        ),
        killers=("tests/domain/test_results.py::test_a_result_that_comes_again_changes_nothing",),
    ),
)
