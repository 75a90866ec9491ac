"""The life of an instance: one table of status, waits, timers, cancelling, what its end raises."""

from mutants.mutant import Mutant

LIFECYCLE = "domain/lifecycle.py"
ACTIONS = "domain/actions.py"
REPLYING = "domain/replies.py"
TIMERS = "domain/timers.py"

MUTANTS = (
    Mutant(
        "completed_may_move",
        "COMPLETED, FAILED and CANCELLED are ends; only a FAILED instance goes on",
        LIFECYCLE,
        (("    Status.COMPLETED: set(),\n", "    Status.COMPLETED: {Status.FAILED},\n"),),
        killers=("tests/domain/test_lifecycle.py::test_every_move_of_the_table_and_no_other",),
    ),
    Mutant(
        "failed_skips",
        "Events of a FAILED instance are held, and go on with the retry",
        LIFECYCLE,
        (
            (
                "Treatment.SKIP if is_over(instance) else Treatment.HOLD",
                "Treatment.SKIP",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_a_failed_workflow_holds_the_other_deliveries_of_the_event_in_call",
        ),
    ),
    Mutant(
        "failed_holds_for_ever",
        "When all dead letters of a FAILED instance are discarded, what it held is skipped",
        LIFECYCLE,
        (("SKIP if is_over(instance) else", "SKIP if instance.status is not Status.FAILED else"),),
        killers=(
            "tests/domain/test_actions.py::test_what_was_held_is_skipped_when_no_dead_letter_is_left",
        ),
    ),
    Mutant(
        "the_end_is_not_delivered",
        "Lifecycle events are delivered though the instance has ended",
        LIFECYCLE,
        (
            (
                "    if instance.status.is_open or event.after_end:\n",
                "    if instance.status.is_open:\n",
            ),
        ),
        killers=(
            "tests/domain/test_lifecycle.py::test_what_the_end_raises_is_delivered_and_what_it_causes_too",
        ),
    ),
    Mutant(
        "what_the_end_raised_is_not_delivered",
        "What is raised while the end is handled is delivered too",
        "domain/draft.py",
        (
            (
                "after_end=after_end or (cause is not None and cause.after_end),",
                "after_end=after_end,",
            ),
        ),
        killers=(
            "tests/domain/test_lifecycle.py::test_what_the_end_raises_is_delivered_and_what_it_causes_too",
        ),
    ),
    Mutant(
        "the_end_may_end_again",
        "A task that handles the end may change data, never the status",
        "domain/replies.py",
        (
            (
                "    if event.after_end:\n        raise ResponseInvalid(",
                "    if False:\n        raise ResponseInvalid(",
            ),
        ),
        killers=("tests/domain/test_lifecycle.py",),
    ),
    Mutant(
        "a_status_without_its_event",
        "Entering a status raises its event",
        "domain/replies.py",
        (("        if status is not before.status and not by_task:\n", "        if False:\n"),),
        killers=(
            "tests/domain/test_results.py::test_status_events_that_no_task_handles_settle_in_the_commit_that_raised_them",
        ),
    ),
    Mutant(
        "the_first_answer_ends_all_waits",
        "WAITING_FOR_INPUT ends when the last wait is answered",
        TIMERS,
        (
            (
                "    if not draft.instance.waits and draft.instance.status",
                "    if draft.instance.status",
            ),
        ),
        killers=(
            "tests/domain/test_actions.py::test_an_answer_is_merged_and_the_last_one_ends_the_waiting",
        ),
    ),
    Mutant(
        "an_answer_does_not_end_the_wait",
        "WAITING_FOR_INPUT ends when the last wait is answered",
        TIMERS,
        (("        draft.move_to(Status.ACTIVE)\n", "        pass\n"),),
        killers=(
            "tests/domain/test_actions.py::test_an_answer_is_merged_and_the_last_one_ends_the_waiting",
        ),
    ),
    Mutant(
        "a_wait_may_be_answered_after_the_end",
        "An instance that has ended takes no input",
        ACTIONS,
        (
            (
                "    require_open(before)\n    waits = {wait.wait_id: wait for wait in before.waits}\n",
                "    waits = {wait.wait_id: wait for wait in before.waits}\n",
            ),
        ),
        killers=("tests/domain/test_lifecycle.py",),
    ),
    Mutant(
        "an_answer_is_merged_whatever_its_wait_says",
        "Whoever may answer a question with a place of its own can write nothing else",
        ACTIONS,
        (("    if wait.answer_path is not None:\n", "    if False:\n"),),
        killers=(
            "tests/domain/test_actions.py::test_an_answer_goes_to_the_place_that_its_wait_names_and_nowhere_else",
        ),
    ),
    Mutant(
        "a_place_for_an_answer_is_not_tried",
        "A question whose answer could not be stored is refused when it is asked",
        REPLYING,
        (("        if wait.answer_path is not None:\n", "        if False:\n"),),
        killers=("tests/domain/test_results.py",),
    ),
    Mutant(
        "a_discard_after_the_end_is_not_delivered",
        "That a dead letter is discarded is told in an instance that has ended, too",
        "domain/dead_letters.py",
        (("        after_end=not draft.instance.status.is_open,\n", ""),),
        killers=(
            "tests/domain/test_actions.py::test_a_discard_is_reported_also_after_the_end_with_how_many_are_left",
        ),
    ),
    Mutant(
        "a_retry_does_not_ask_again",
        "A FAILED instance that goes on asks again what it had asked",
        "domain/dead_letters.py",
        (("        if before.waits:\n", "        if False:\n"),),
        killers=(
            "tests/domain/test_actions.py::test_a_failed_instance_asks_again_when_it_goes_on",
        ),
    ),
    Mutant(
        "a_retry_leaves_the_held",
        "What a FAILED instance held goes on with the retry",
        "domain/dead_letters.py",
        (
            (
                "        for row, _ in held:\n            draft.put_delivery",
                "        for row, _ in ():\n            draft.put_delivery",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_a_failed_workflow_holds_the_other_deliveries_of_the_event_in_call",
        ),
    ),
    Mutant(
        "discarding_leaves_the_held",
        "What can't go on any more is skipped",
        "domain/dead_letters.py",
        (
            (
                "    for row, event in held:\n        if draft.treatment(event) is Treatment.SKIP:\n",
                "    for row, event in ():\n        if draft.treatment(event) is Treatment.SKIP:\n",
            ),
        ),
        killers=(
            "tests/domain/test_actions.py::test_what_was_held_is_skipped_when_no_dead_letter_is_left",
        ),
    ),
    Mutant(
        "cancelled_twice",
        "A CANCELLED instance stays as it is",
        ACTIONS,
        (
            (
                "    if before.status is Status.CANCELLED:\n        return\n    if not before.status.is_open:\n",
                "    if before.status not in (Status.ACTIVE, Status.WAITING_FOR_INPUT, Status.CANCELLED):\n",
            ),
        ),
        killers=("tests/domain/test_lifecycle.py",),
    ),
    Mutant(
        "a_cancelled_instance_is_called",
        "Cancel is checked before each call",
        "router/calls.py",
        (("        if treatment is not Treatment.DELIVER:\n", "        if False:\n"),),
        killers=(
            "tests/router/test_deliveries.py::test_an_instance_that_was_cancelled_meanwhile_is_not_called",
        ),
    ),
    Mutant(
        "calls_in_flight_are_not_cancelled",
        "Calls in flight of a cancelled instance are cancelled",
        "router/calls.py",
        (
            (
                "                    if call.running is not None:\n                        call.running.cancel()\n",
                "                    pass\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_calls_of_a_cancelled_instance_are_cancelled_at_its_notice",
        ),
    ),
    Mutant(
        "an_end_leaves_its_timers",
        "What an ended instance leaves open is settled",
        "domain/draft.py",
        (
            (
                "            self.put_timer(Timer(TimerKind.CLEANUP, due_in=0.0))\n",
                "            pass\n",
            ),
        ),
        killers=(
            "tests/domain/test_timers.py::test_an_end_that_leaves_nothing_but_timers_takes_them_away",
        ),
    ),
    Mutant(
        "a_timer_fires_again",
        "A timer fires once: the commit that fires it takes it away",
        TIMERS,
        (
            (
                "    draft.drop_timer(timer.kind, timer.ref)\n    if timer.kind is TimerKind.CLEANUP",
                "    if timer.kind is TimerKind.CLEANUP",
            ),
        ),
        killers=(
            "tests/domain/test_timers.py::test_a_delayed_event_is_raised_now_and_announced_at_its_time",
        ),
    ),
    Mutant(
        "a_timer_set_anew_fires_early",
        "A timer that was set anew since it was claimed has a time of its own",
        "router/timers.py",
        (
            (
                "to_fire = [timer for timer in due if timer in as_claimed]",
                "to_fire = [timer for timer in due if (timer.kind, timer.ref) in {(t.kind, t.ref) for t in as_claimed}]",
            ),
        ),
        killers=("tests/router/test_timers.py",),
    ),
    Mutant(
        "an_expired_event_is_delivered",
        "No task is called with an event that has expired",
        "domain/results.py",
        (
            (
                "    elif touch.lease and event.expires_at is not None and event.expires_at <= draft.now:\n",
                "    elif False:\n",
            ),
        ),
        killers=(
            "tests/domain/test_timers.py::test_the_commit_skips_an_event_that_expired_before_its_call",
        ),
    ),
    Mutant(
        "a_tried_delivery_expires",
        "A delivery that was tried goes on though its event has expired",
        TIMERS,
        (
            (
                "        if row.state not in _CALLED and not row.attempts and not row.suspect:\n",
                "        if row.state not in _CALLED:\n",
            ),
        ),
        killers=("tests/domain/test_timers.py::test_what_may_have_been_called_does_not_expire",),
    ),
    Mutant(
        "delays_are_ignored",
        "A delayed event comes at its time and not before",
        "domain/draft.py",
        (
            (
                "        if new.delay or (new.deliver_at is not None and new.deliver_at > self.now):\n",
                "        if False:\n",
            ),
        ),
        killers=(
            "tests/domain/test_timers.py::test_a_delayed_event_is_raised_now_and_announced_at_its_time",
        ),
    ),
    Mutant(
        "a_deadline_fails_nobody",
        "A workflow fails at its deadline",
        TIMERS,
        (("        _exceed(draft)\n", "        pass\n"),),
        killers=("tests/domain/test_timers.py::test_an_open_workflow_fails_at_its_deadline",),
    ),
)
