"""Deliveries: that each task gets its event, that one that fails holds back no other, and what an attempt
is."""

from mutants.mutant import Mutant

RESULTS = "domain/results.py"
FAILING = "domain/failures.py"
SWEEPING = "core/store/sweeps.py"

MUTANTS = (
    Mutant(
        "unfinished_tasks_get_no_row",
        "The first commit that touches an event gives each task that it does not finish a row",
        RESULTS,
        (
            (
                "        row = touch.rows.get(task.task_id)\n        if row is None:\n",
                "        row = touch.rows.get(task.task_id)\n"
                "        if row is None and task.task_id not in touch.results:\n"
                "            continue\n"
                "        if row is None:\n",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_an_event_is_settled_when_its_last_delivery_is",
        ),
    ),
    Mutant(
        "tasks_are_fixed_again_and_again",
        "The tasks of an event are fixed once",
        RESULTS,
        (
            (
                "    for task_id, row in touch.rows.items():\n        known =",
                "    for task in touch.tasks:\n"
                "        if task.task_id not in draft.facts(event.event_id).deliveries:\n"
                "            draft.put_delivery(\n"
                "                Delivery(event.event_id, task.task_id, DeliveryState.READY)\n"
                "            )\n"
                "    for task_id, row in touch.rows.items():\n        known =",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_an_event_is_settled_when_its_last_delivery_is",
        ),
    ),
    Mutant(
        "a_late_result_of_an_edited_delivery",
        "After an edited retry the answer to what was before it does not count",
        RESULTS,
        (("row is None or row.edit != result.edit or", "row is None or"),),
        killers=(
            "tests/domain/test_actions.py::test_a_late_result_of_the_unedited_delivery_is_none_of_the_edited_one",
        ),
    ),
    Mutant(
        "a_broken_lease_voids_the_result",
        "A result whose lease was broken counts while the delivery has no final outcome",
        RESULTS,
        (
            (
                "    if row is None or row.edit != result.edit or",
                "    if row is None or row.leased_by not in (None, router_id) or row.edit != result.edit or",
            ),
        ),
        killers=("tests/domain/test_results.py::test_what_another_router_calls_now_counts_there",),
    ),
    Mutant(
        "a_failure_under_a_broken_lease_counts",
        "A failed attempt counts only while the delivery is leased to who called",
        FAILING,
        (
            (
                "    if row.state is DeliveryState.LEASED and row.leased_by != router_id:\n",
                "    if False:\n",
            ),
        ),
        killers=("tests/domain/test_results.py::test_what_another_router_calls_now_counts_there",),
    ),
    Mutant(
        "an_attempt_counts_twice",
        "An attempt counts once, however often its outcome comes",
        FAILING,
        (
            (
                "    if recorded and not (row.suspect and row.state is DeliveryState.LEASED):\n",
                "    if False:\n",
            ),
        ),
        killers=("tests/domain/test_results.py::test_a_result_that_comes_again_changes_nothing",),
    ),
    Mutant(
        "the_first_cut_costs_an_attempt",
        "A call cut off by a death makes its delivery a suspect, at no cost the first time",
        FAILING,
        (
            ("    elif not row.suspect:\n", "    elif False:\n"),
            ("    elif not recorded or not outcome.alone:\n", "    elif False:\n"),
        ),
        killers=(
            "tests/domain/test_results.py::test_a_cut_call_costs_nothing_once_and_an_attempt_when_it_was_alone",
        ),
    ),
    Mutant(
        "cuts_never_cost_an_attempt",
        "A suspect that is cut again spends its attempt: a task that kills its process ends",
        FAILING,
        (("    elif not row.suspect:\n", "    elif True:\n"),),
        killers=(
            "tests/domain/test_results.py::test_a_cut_call_costs_nothing_once_and_an_attempt_when_it_was_alone",
        ),
    ),
    Mutant(
        "a_suspects_attempt_is_not_recorded",
        "A suspect's attempt is recorded before it is called",
        SWEEPING,
        (
            (
                "attempts = d.attempts + CASE WHEN d.suspect THEN 1 ELSE 0 END",
                "attempts = d.attempts",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_due_deliveries_are_leased_and_a_suspects_attempt_is_recorded",
        ),
    ),
    Mutant(
        "suspects_beside_each_other",
        "A suspect is called with no other suspect of its service in call anywhere",
        SWEEPING,
        (
            (
                "          JOIN busy b ON b.namespace = t.namespace AND b.service_name = t.service_name)",
                "          JOIN busy b ON false)",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_no_two_suspects_of_one_service_are_in_call_anywhere",
        ),
    ),
    Mutant(
        "a_broken_lease_makes_no_suspect",
        "What was in call at a router that died is a suspect",
        "core/store/leases.py",
        (("since = now(), suspect = true\n", "since = now()\n"),),
        killers=(
            "tests/store/test_engine_sweeps.py::test_what_a_dead_router_had_in_call_is_suspect",
        ),
    ),
    Mutant(
        "often_announced_is_not_suspect",
        "An event announced more than twice is a suspect",
        "router/intake.py",
        ((" or facts.announcements > SUSPECT_AFTER_ANNOUNCEMENTS", ""),),
        killers=(
            "tests/router/test_deliveries.py::test_an_event_that_was_announced_often_is_called_alone",
        ),
    ),
    Mutant(
        "redelivered_is_not_suspect",
        "An event that a connection lost was redelivered with is a suspect",
        "router/intake.py",
        (
            (
                "                    if one.redelivered:\n"
                "                        suspects.add(event_id)\n",
                "",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_an_event_that_was_in_hand_elsewhere_is_called_alone",
        ),
    ),
    Mutant(
        "permanent_errors_are_retried",
        "A permanent failure is a dead letter at once",
        FAILING,
        (("    return error.permanent or attempts", "    return attempts"),),
        killers=(
            "tests/domain/test_results.py::test_an_answer_that_breaks_a_rule_fails_permanently_and_nothing_of_it_takes_effect",
        ),
    ),
    Mutant(
        "attempts_without_end",
        "After its attempts a delivery stands in the dead letters",
        FAILING,
        (("error.permanent or attempts >= task.retry.max_attempts", "error.permanent"),),
        killers=(
            "tests/domain/test_results.py::test_errors_are_retried_and_then_dead_lettered_with_their_cause",
        ),
    ),
    Mutant(
        "retry_after_is_ignored",
        "A task may say when to come back",
        FAILING,
        (("    wait = error.retry_after\n", "    wait = None\n"),),
        killers=("tests/domain/test_results.py::test_retry_after_replaces_the_backoff",),
    ),
    Mutant(
        "continue_fails_the_workflow",
        "A dead letter under CONTINUE leaves the workflow open",
        FAILING,
        (("    if on_failure is OnFailure.FAIL_WORKFLOW:\n", "    if True:\n"),),
        killers=(
            "tests/domain/test_results.py::test_one_failing_delivery_holds_back_no_other_of_its_event",
        ),
    ),
    Mutant(
        "the_end_fails_again",
        "What the end of an instance raised can't end it again",
        FAILING,
        (
            (
                "OnFailure.CONTINUE if event.after_end else task.on_failure",
                "task.on_failure",
            ),
        ),
        killers=(
            "tests/domain/test_actions.py::test_a_dead_letter_of_the_end_is_retried_without_reopening_the_instance",
        ),
    ),
    Mutant(
        "a_failed_attempt_leaves_its_change",
        "Context, history and raised events change together or not at all: a refused answer leaves nothing",
        "domain/replies.py",
        (
            (
                "    status = _status_of(reply, event)\n    _check_events",
                "    if operations:\n        draft.touch(data=data)\n"
                "    status = _status_of(reply, event)\n    _check_events",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_an_answer_that_breaks_a_rule_fails_permanently_and_nothing_of_it_takes_effect",
        ),
    ),
    Mutant(
        "no_share_of_max_in_flight",
        "A task has at most max_in_flight calls over all routers",
        "router/places.py",
        (
            (
                "        may_start = places.taken < self._places_for(call.task, workflow_type)\n",
                "        may_start = True\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_so_many_calls_of_a_task_at_once_and_no_more",
        ),
    ),
    Mutant(
        "long_calls_keep_their_message",
        "A call that outlasts ack_hold gets a lease, and its message is acknowledged",
        "router/sweeper.py",
        (("        self._leasing = self._keep(HOLDS_EVERY, self._holds, None)\n", ""),),
        killers=(
            "tests/e2e/test_attempts.py::test_a_call_that_outlasts_its_message_takes_effect_once",
        ),
    ),
    Mutant(
        "parked_deliveries_stay_parked",
        "What was parked for want of an endpoint is called when one is there",
        "router/sweeper.py",
        (("                (PARKED_EVERY, self._parked, self._claims_exhausted),\n", ""),),
        killers=("tests/router/test_sweeps.py",),
    ),
    Mutant(
        "a_retry_keeps_its_attempts",
        "A retried dead letter begins from its first attempt",
        "domain/dead_letters.py",
        (
            (
                "            state=DeliveryState.READY,\n            edit=dead_letter.edit + 1",
                "            state=DeliveryState.READY,\n"
                "            attempts=dead_letter.attempts,\n"
                "            edit=dead_letter.edit + 1",
            ),
        ),
        killers=(
            "tests/domain/test_actions.py::test_what_failed_twice_goes_on_twice",
            "tests/domain/test_actions.py::test_an_edited_retry_has_a_key_and_a_payload_of_its_own",
        ),
    ),
    Mutant(
        "an_edited_retry_has_the_old_key",
        "An edited retry is told apart from what was before by its idempotency key",
        "domain/dead_letters.py",
        (("dead_letter.edit + 1 if edited else dead_letter.edit", "dead_letter.edit"),),
        killers=(
            "tests/domain/test_actions.py::test_an_edited_retry_has_a_key_and_a_payload_of_its_own",
        ),
    ),
    Mutant(
        "pending_overwrites_another_attempt",
        "A second answer `pending` of a delivery that waits already changes nothing",
        RESULTS,
        (
            (
                "    if row.state is DeliveryState.PENDING or row.leased_by not in (None, router_id):\n",
                "    if False:\n",
            ),
        ),
        killers=("tests/domain/test_timers.py::test_a_repeated_answer_pending_changes_nothing",),
    ),
    Mutant(
        "a_call_spends_what_a_completion_has",
        "While a result is to follow, another call's failure does not count",
        FAILING,
        (("    if row.state is DeliveryState.PENDING and router_id:\n", "    if False:\n"),),
        killers=(
            "tests/domain/test_timers.py::test_a_second_call_that_fails_cuts_nothing_that_is_pending",
        ),
    ),
    Mutant(
        "what_was_never_sent_costs",
        "A call that was not sent costs no attempt",
        "router/calls.py",
        (("        spent = call.attempt - 1\n", "        spent = call.attempt\n"),),
        killers=("tests/router/test_deliveries.py::test_what_was_never_sent_costs_no_attempt",),
    ),
)
