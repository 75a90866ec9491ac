"""Shorter ways of a workflow: what a router may handle itself, and which notices may be believed."""

from mutants.mutant import Mutant

_TESTS = "tests/router/test_continuation.py::"
_FILE = "router/continuation.py"
_OUTCOMES = "tests/api/test_outcomes.py::"

MUTANTS = (
    Mutant(
        "a_continued_event_is_announced_too",
        "An event is in one router's hands",
        "core/relay/relay.py",
        (("if event.event_id not in continued", "if True"),),
        killers=(f"{_TESTS}test_what_a_commit_raises_is_handled_here_without_the_broker",),
    ),
    Mutant(
        "a_continued_call_gets_no_lease",
        "A call that lasts gets a lease before others would announce its event",
        "router/sweeper.py",
        (
            (
                "            if handling.messages and handling.facts.in_outbox and handling.calls",
                "            if any(message.token[1] for message in handling.messages)"
                " and handling.facts.in_outbox and handling.calls",
            ),
        ),
        killers=(
            f"{_TESTS}test_a_call_that_lasts_gets_a_lease_before_others_would_announce_its_event",
        ),
    ),
    Mutant(
        "a_stopped_router_keeps_what_it_continued",
        "What a router that stops has in hand is due at once",
        "router/app.py",
        (("if left := self._continuation.left():", "if left := []:"),),
        killers=(f"{_TESTS}test_what_a_stopping_router_has_in_hand_is_due_at_once",),
    ),
    Mutant(
        "a_stopping_router_goes_on",
        "A chain of events does not keep a router that is told to stop",
        "router/app.py",
        (("        self._continuation.stop()\n", ""),),
        killers=(f"{_TESTS}test_a_router_that_stops_begins_nothing_new",),
    ),
    Mutant(
        "a_stopping_router_leases_nothing",
        "A call that lasts gets a lease, also while its router waits for it to stop",
        "router/sweeper.py",
        (("await _end(self._loops)\n", "await _end([*self._loops, self._leasing])\n"),),
        killers=(f"{_TESTS}test_a_call_that_a_stopping_router_waits_for_gets_a_lease",),
    ),
    Mutant(
        "continued_events_are_no_flood",
        "What floods is announced a level lower, however little of it is announced",
        "core/relay/relay.py",
        (("            self._count(commits, continued)\n", "            pass\n"),),
        killers=(
            "tests/router/test_relay.py::test_what_is_continued_counts_when_it_is_asked_who_floods",
        ),
    ),
    Mutant(
        "what_is_raised_has_no_time",
        "A handler sees when its event was raised",
        "domain/commit.py",
        (('            object.__setattr__(event, "created_at", at)\n', "            pass\n"),),
        killers=(f"{_TESTS}test_what_is_handled_at_once_has_the_times_of_its_commit",),
    ),
    Mutant(
        "what_is_continued_has_no_bound",
        "A router has no more in hand than its window allows",
        _FILE,
        (("- self._unacknowledged() - len(self._in_hand)", ""),),
        killers=(f"{_TESTS}test_what_is_in_hand_takes_room_until_it_is_settled_or_leased",),
    ),
    Mutant(
        "what_is_acknowledged_takes_room",
        "What a router has in hand takes room until it is settled",
        "router/intake.py",
        (("        self._unacknowledged -= 1\n", ""),),
        killers=(f"{_TESTS}test_messages_that_come_again_take_room_only_while_they_are_in_hand",),
    ),
    Mutant(
        "a_chain_passes_what_waits",
        "Messages that wait come first",
        _FILE,
        (("if self._buffered() > MOST_BUFFERED:", "if False:"),),
        killers=(f"{_TESTS}test_nothing_passes_messages_that_wait",),
    ),
    Mutant(
        "a_fan_out_stays_in_one_router",
        "A wide fan-out is shared",
        _FILE,
        (("len(raised) > MOST_OF_A_COMMIT and self._has_others()", "False"),),
        killers=(f"{_TESTS}test_a_wide_fan_out_is_shared_with_other_routers",),
    ),
    Mutant(
        "a_busy_router_keeps_its_events",
        "A router that is busier than others leaves events to them",
        _FILE,
        (("self._enabled and self._is_not_busier_than_others()", "self._enabled"),),
        killers=(f"{_TESTS}test_a_router_that_is_busier_than_others_leaves_events_to_them",),
    ),
    Mutant(
        "an_event_without_a_place_is_continued",
        "A router without a place for a task leaves its events to others",
        _FILE,
        (("return not self._has_others() or self._has_places(", "return True or ("),),
        killers=(f"{_TESTS}test_an_event_whose_task_has_no_place_here_is_left_to_others",),
    ),
    Mutant(
        "a_task_without_a_place_has_one",
        "A router without a place for a task leaves its events to others",
        "router/app.py",
        (("self._calls.places.free(task) > 0", "True"),),
        killers=(f"{_TESTS}test_what_has_no_place_here_is_announced_to_the_other_routers",),
    ),
    Mutant(
        "another_pools_event_is_continued",
        "A pool's events are handled by its own routers",
        _FILE,
        (("self._pools.now.is_own(event.event_type)", "True"),),
        killers=(f"{_TESTS}test_only_types_of_its_own_pool_are_continued",),
    ),
    Mutant(
        "any_outcome_is_believed",
        "An outcome in a notice counts if a server of this installation sealed it",
        "core/outcome_seal.py",
        (("body = self._seal.opened(outcome)", "body = outcome[:-16]"),),
        killers=(f"{_OUTCOMES}test_what_nobody_here_sealed_is_read_instead",),
    ),
    Mutant(
        "the_outcome_of_another_instance_is_believed",
        "An outcome is that of the instance in its notice",
        "api/workflows/waiters.py",
        (("return context if sealed == named else None", "return context"),),
        killers=(f"{_OUTCOMES}test_what_nobody_here_sealed_is_read_instead",),
    ),
    Mutant(
        "an_old_outcome_ends_a_wait",
        "An outcome counts only if it is later than what was read",
        "api/workflows/waiters.py",
        (
            ("if notice.version > self._seen and ends_a_wait", "if ends_a_wait"),
            ("not 0 < self._seen < notice.version", "not 0 < self._seen"),
        ),
        killers=(f"{_OUTCOMES}test_an_end_before_what_was_read_answers_nothing",),
    ),
    Mutant(
        "the_outcome_heard_last_counts",
        "Of two outcomes of an instance the later one counts",
        "api/workflows/waiters.py",
        (("(self._outcome is None or notice.version > self._outcome.version)", "True"),),
        killers=(f"{_OUTCOMES}test_of_two_ends_that_come_in_another_order_the_later_one_counts",),
    ),
    Mutant(
        "a_large_outcome_is_made_to_be_dropped",
        "The end of a large workflow costs its router no message",
        "core/outcome_seal.py",
        (("if json_size(after.data) + json_size(after.output) > MOST_BYTES:", "if False:"),),
        killers=("tests/router/test_outcome_seal.py::test_no_message_is_made_of_a_large_one",),
    ),
    Mutant(
        "an_outcome_has_the_time_of_the_copy",
        "The context in a notice is what a read would give",
        "domain/commit.py",
        (('        object.__setattr__(after, "updated_at", at)\n', ""),),
        killers=("tests/router/test_outcome_seal.py::test_it_is_what_a_read_gives",),
    ),
    Mutant(
        "a_flood_hides_failures_from_people",
        "A failure has its line in `waystation dev`, however many",
        "cli/embedded/dev_log.py",
        (
            (
                "if entry.result is Result.FAILED:",
                "if entry.result is Result.FAILED and self._few.has_room():",
            ),
        ),
        killers=(
            "tests/cli/test_dev_log.py::test_many_successes_are_counted_and_failures_are_all_told",
        ),
    ),
    Mutant(
        "a_service_that_has_ended_in_order_is_missed",
        "`waystation dev` warns of nothing without a cause",
        "cli/embedded/dev_log.py",
        (
            (
                "        raise structlog.DropEvent\n\n    # --- lines",
                "        return Text(address)\n\n    # --- lines",
            ),
        ),
        killers=("tests/cli/test_dev_log.py::test_a_service_that_is_lost_and_comes_back",),
    ),
    Mutant(
        "a_new_service_takes_the_place_of_files",
        "`waystation init` writes over nothing",
        "cli/commands/init.py",
        (
            ("if there := [name for name in FILES if", "if there := [name for name in () if"),
            ('.open("x", ', '.open("w", '),
        ),
        killers=(
            "tests/cli/test_init.py::test_it_writes_over_nothing_and_its_advice_works[pytest.ini]",
        ),
    ),
    Mutant(
        "failures_are_counted_not_listed",
        "What failed has its line of log",
        "router/delivery_log.py",
        (("if verdict is Verdict.APPLIED and worked and not", "if not"),),
        killers=(
            "tests/router/test_delivery_log.py::test_what_failed_or_came_twice_has_its_line_however_many",
        ),
    ),
)
