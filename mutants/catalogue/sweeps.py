"""What brings back what a death, a loss or an outage left behind, without bound on its number."""

from mutants.mutant import Mutant

SWEEPER = "router/sweeper.py"
SWEEPING = "core/store/sweeps.py"
LOSSES = "core/store/losses.py"

MUTANTS = (
    Mutant(
        "losses_are_not_brought_back",
        "What was announced before a broker lost its messages is announced again at once",
        SWEEPER,
        (("        self._lost = (reason, time.monotonic())\n", "        pass\n"),),
        killers=(
            "tests/router/test_relay.py::test_what_a_broker_may_have_lost_is_announced_again",
        ),
    ),
    Mutant(
        "losses_in_one_statement",
        "A statement off the hot path has a bound, and makes progress each time",
        LOSSES,
        (("    ORDER BY event_id LIMIT %(limit)s\n), found", "    ORDER BY event_id\n), found"),),
        killers=("tests/store/test_portions.py::test_a_portion_is_bounded_by_what_it_looks_at",),
    ),
    Mutant(
        "a_loss_is_walked_from_the_start",
        "A loss that is brought back in portions goes on where the last one ended",
        LOSSES,
        (("(last, cause)\n", "(walked_to, cause)\n"),),
        killers=(
            "tests/store/test_portions.py::test_what_is_lost_is_made_due_in_portions_that_anybody_takes_up",
        ),
    ),
    Mutant(
        "parked_in_one_statement",
        "Parked deliveries are woken in portions",
        SWEEPING,
        (
            (
                "        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED\n    ) d\n",
                "        ORDER BY due_at FOR UPDATE SKIP LOCKED\n    ) d\n",
            ),
        ),
        killers=(
            "tests/store/test_portions.py::test_parked_deliveries_are_woken_oldest_first_and_so_many_of_each_task",
        ),
    ),
    Mutant(
        "a_failed_sweep_ends_its_loop",
        "One sweep that fails holds up no other, and comes again",
        SWEEPER,
        (
            (
                "            except Exception:\n                # A fault in one sweep",
                "            except ZeroDivisionError:\n                # A fault in one sweep",
            ),
        ),
        survives="The owner of a sweep's loop begins it again (tests/background/test_owned.py): the others go on as before",
    ),
    Mutant(
        "announcing_into_a_full_queue",
        "Nothing is announced again while the queue holds more than it drains",
        SWEEPER,
        (("depth is None or depth > MAX_IN_QUEUE", "depth is None"),),
        killers=(
            "tests/router/test_relay.py::test_nothing_is_announced_again_into_a_queue_that_is_full",
        ),
    ),
    Mutant(
        "waiting_does_not_grow",
        "Each announcement of one event doubles the wait for the next",
        SWEEPING,
        (("{FIRST_WAIT} * power(2, LEAST(o.announcements, 10))", "interval '60 s'"),),
        killers=(
            "tests/store/test_engine_sweeps.py::test_each_announcement_doubles_the_wait_up_to_ten_minutes",
        ),
    ),
    Mutant(
        "the_returned_wait",
        "A returned or unconfirmed message is due at once",
        "core/relay/relay.py",
        (("            await self._make_due(missed)\n", "            pass\n"),),
        killers=(
            "tests/router/test_relay.py::test_what_was_returned_or_not_confirmed_is_due_at_once",
        ),
    ),
    Mutant(
        "what_could_not_be_made_due_is_forgotten",
        "What could not be made due is made due after the next commit",
        "core/relay/relay.py",
        (("            self._not_due.extend(event_ids)\n", "            pass\n"),),
        killers=(
            "tests/decisions/test_decisions.py::"
            "test_it_is_made_due_after_the_next_commit_where_it_could_not_be_at_once",
        ),
    ),
    Mutant(
        "nothing_starves_upwards",
        "What is unsettled for 5 s is announced once more at the highest level",
        SWEEPER,
        (("                (EVENTS_EVERY, self._starving, None),\n", ""),),
        killers=(
            "tests/router/test_relay.py::test_an_event_that_was_never_announced_is_found_by_the_sweep",
        ),
    ),
    Mutant(
        "the_highest_level_waits",
        "What is not in a short queue is announced once more, at the highest level too",
        SWEEPER,
        (("            at_any_level=idle,\n", "            at_any_level=False,\n"),),
        killers=(
            "tests/router/test_sweeps.py"
            "::test_what_waits_is_announced_whatever_its_level_while_the_queue_is_short",
        ),
    ),
    Mutant(
        "what_is_left_of_a_busy_task_is_forgotten",
        "A look at other tasks does not say that nothing of this one is left",
        SWEEPER,
        (("(self._parked_remaining | free) - done", "free - done"),),
        killers=(
            "tests/router/test_sweeps.py"
            "::test_a_task_that_has_no_place_when_parked_ones_are_woken_is_looked_at_later",
        ),
    ),
    Mutant(
        "a_busy_task_counts_as_woken",
        "What was parked before endpoints changed is woken task by task, until none of it is left",
        "router/sweeper.py",
        (
            (
                "self._fully_woken |= done",
                "self._fully_woken |= {task.task_id for task in self._claims._live_tasks()}",
            ),
        ),
        killers=(
            "tests/router/test_sweeps.py"
            "::test_a_task_that_has_no_place_when_parked_ones_are_woken_is_looked_at_later",
        ),
    ),
    Mutant(
        "claims_without_end",
        "Nothing more is claimed while commits are far behind what was called",
        "router/claims.py",
        (("        if self._committer.behind > MOST_UNCOMMITTED:\n", "        if False:\n"),),
        killers=(
            "tests/router/test_sweeps.py"
            "::test_nothing_more_is_claimed_while_commits_are_far_behind",
        ),
    ),
    Mutant(
        "parked_on_old_facts",
        "What is parked on facts that are old by the time it is in the database is woken then",
        SWEEPER,
        (("        if since <= self._last_change:\n", "        if since < 0:\n"),),
        killers=(
            "tests/router/test_sweeps.py"
            "::test_what_was_parked_on_old_facts_is_woken_when_it_is_in_the_database",
        ),
    ),
    Mutant(
        "nobody_fires_timers",
        "Timers are claimed when they are due",
        SWEEPER,
        (("                (LOOK_EVERY, self._timers.turn, None),\n", ""),),
        killers=(
            "tests/e2e/test_groups_and_timers.py::test_a_delayed_event_comes_at_its_time_and_not_before",
        ),
    ),
    Mutant(
        "a_claimed_timer_is_gone",
        "A timer whose router died is claimed again",
        SWEEPING,
        (("SET due_at = now() + interval '5 s'", "SET due_at = 'infinity'"),),
        killers=("tests/store/test_engine_timers.py",),
    ),
    Mutant(
        "timers_are_claimed_twice",
        "A claimed timer is left to who claimed it",
        SWEEPING,
        (("SET due_at = now() + interval '5 s'", "SET due_at = t.due_at"),),
        killers=("tests/store/test_engine_timers.py",),
    ),
    Mutant(
        "nobody_ends_what_never_follows",
        "An answer that was to follow and did not is a failed attempt",
        SWEEPER,
        (("                (OVERDUE_EVERY, self._claims.overdue, None),\n", ""),),
        killers=(
            "tests/e2e/test_groups_and_timers.py::test_a_result_that_never_follows_is_a_failed_attempt",
        ),
    ),
    Mutant(
        "what_died_too_often_is_called_again",
        "A delivery whose every attempt ended with the death of its router is not called again",
        "router/claims.py",
        (
            (
                "        if given is None and call.attempt > task.retry.max_attempts:\n",
                "        if False:\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_what_cost_every_attempt_a_router_is_called_no_more",
        ),
    ),
    Mutant(
        "claims_wait_for_each_other",
        "A claim passes over rows that somebody else has locked",
        SWEEPING,
        (
            (
                "      AND {_OF_TASKS} {{among}}\n"
                "    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED\n",
                "      AND {_OF_TASKS} {{among}}\n    ORDER BY due_at LIMIT %(limit)s FOR UPDATE\n",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_a_claim_passes_over_what_somebody_has_locked",
        ),
    ),
    Mutant(
        "lapsed_pools_keep_their_events",
        "What the queue of a pool that nobody comes back to held is brought back",
        SWEEPER,
        (("                (LAPSED_EVERY, self._lapsed, None),\n", ""),),
        killers=("tests/router/test_sweeps.py",),
    ),
    Mutant(
        "pools_may_overlap",
        "Pools whose bindings can match the same type are refused",
        "core/store/membership.py",
        (("            admit(pool, await pools_of(connection))\n", ""),),
        killers=(
            "tests/store/test_pools.py::test_of_two_pools_that_overlap_one_joins_however_close_they_come",
        ),
    ),
    Mutant(
        "what_waits_goes_off_alone",
        "A delivery that goes off the fast way was computed from nothing: it needs no look under the lock",
        "router/committer.py",
        (
            (
                "                    call.result is not None and call.base_version < state.log_from\n",
                "                    call.base_version < state.log_from\n",
            ),
        ),
        killers=("tests/router/test_deliveries.py::test_what_waits_for_a_place_costs_no_lock",),
    ),
    Mutant(
        "an_old_entry_keeps_the_new_one_out",
        "Of an event that comes back in hand, what it is now is committed, and not what it was",
        "router/commit_queue.py",
        (
            (
                "        self._waiting[handling.event_id] = handling\n",
                "        self._waiting.setdefault(handling.event_id, handling)\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_what_is_submitted_for_one_that_was_let_go_is_not_lost",
        ),
    ),
    Mutant(
        "a_claim_finds_deliveries_by_their_task",
        "What is claimed is found by its event, whatever the statistics say",
        "core/store/rows.py",
        (
            (
                "AND ({one}.task_id = {other}.task_id) IS TRUE",
                "AND {one}.task_id = {other}.task_id",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::"
            "test_a_claim_reads_what_is_due_and_nothing_else[old statistics]",
        ),
    ),
)
