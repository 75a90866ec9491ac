"""The conflict rule, the turn, and where what a commit rests on is read."""

from mutants.mutant import Mutant

REPLYING = "domain/replies.py"
CONFLICTS = "domain/conflicts.py"
RESULTS = "domain/results.py"

MUTANTS = (
    Mutant(
        "no_conflict_rule",
        "A result whose reads were written since is computed again: no update is lost",
        REPLYING,
        (("return Verdict.CONFLICT if conflicts(reads, writes, since) else None", "return None"),),
        killers=("tests/domain/test_results_conflicts.py::test_a_result_from_an_older_version",),
    ),
    Mutant(
        "containers_do_not_conflict",
        "Two paths touch when either is a prefix of the other",
        CONFLICTS,
        (
            (
                "return path in self._above or any(above in self._kinds for above in _containers(path))",
                "return False",
            ),
        ),
        killers=("tests/domain/test_results_conflicts.py::test_a_result_from_an_older_version",),
    ),
    Mutant(
        "insides_do_not_conflict",
        "Who read a container read what was written inside it",
        CONFLICTS,
        (
            (
                "return path in self._above or any(above in self._kinds for above in _containers(path))",
                "return any(above in self._kinds for above in _containers(path))",
            ),
        ),
        killers=(
            "tests/domain/test_results_conflicts.py::test_a_result_from_an_older_version",
            "tests/domain/test_conflicts.py::test_it_is_the_rule_pair_by_pair_also_while_results_are_folded",
        ),
    ),
    Mutant(
        "appends_conflict",
        "Commuting operations do not touch each other",
        CONFLICTS,
        (("not (kind in COMMUTING and there == {kind})", "True"),),
        killers=("tests/domain/test_conflicts.py::test_kinds_commute_with_themselves_only",),
    ),
    Mutant(
        "all_commuting_kinds_commute",
        "Only operations of one kind commute with each other",
        CONFLICTS,
        (("kind in COMMUTING and there == {kind}", "kind in COMMUTING"),),
        killers=("tests/domain/test_conflicts.py::test_kinds_commute_with_themselves_only",),
    ),
    Mutant(
        "unsaid_reads_are_none",
        "An answer that does not say what it read has read everything",
        CONFLICTS,
        (
            (
                "if reads is None:\n            return True",
                "if reads is None:\n            reads = ()",
            ),
        ),
        killers=("tests/domain/test_results_conflicts.py::test_a_result_from_an_older_version",),
    ),
    Mutant(
        "status_is_no_path",
        "Status is a path like any other: two results that set it conflict",
        REPLYING,
        (("    if reply.statuses:\n        writes.append(STATUS_WRITE)\n", ""),),
        killers=("tests/domain/test_results_conflicts.py::test_status_is_a_path_like_any_other",),
    ),
    Mutant(
        "status_is_not_logged",
        "Whoever changed the status has written it, for the conflict rule",
        "domain/commit.py",
        (
            (
                'return (*writes, STATUS_WRITE) if effects and "status" in effects else writes',
                "return writes",
            ),
        ),
        killers=("tests/domain/test_results_conflicts.py::test_status_is_a_path_like_any_other",),
    ),
    Mutant(
        "removed_items_move_nothing",
        "Removing an item of a list writes the whole list",
        "domain/operations.py",
        (
            (
                'if last == "-" or pointers.index(last) is not None:\n            return pointers.parent(path), kind',
                "pass",
            ),
        ),
        killers=(
            "tests/domain/test_conflicts.py::test_removing_an_item_writes_the_list_whose_other_items_it_moves",
        ),
    ),
    Mutant(
        "conflicts_before_dedupe",
        "Dedupe comes before the conflict rule: a result that has taken effect is no conflict",
        RESULTS,
        (
            (
                "    row = draft.facts(event.event_id).deliveries.get(result.task.task_id)\n"
                "    if row is None or row.edit",
                "    if isinstance(result.outcome, Reply):\n"
                "        hindered = replies.obstacle(draft, event, result, result.outcome)\n"
                "        if hindered is not None:\n"
                "            return hindered\n"
                "    row = draft.facts(event.event_id).deliveries.get(result.task.task_id)\n"
                "    if row is None or row.edit",
            ),
        ),
        killers=("tests/domain/test_results.py::test_a_result_that_comes_again_changes_nothing",),
    ),
    Mutant(
        "folded_results_do_not_see_each_other",
        "Results of one instance in one batch are folded one after the other",
        "domain/draft.py",
        (
            (
                "        if writes:\n"
                "            self._log.append(LoggedWrites(entry.sequence, tuple(writes)))\n",
                "",
            ),
        ),
        killers=(
            "tests/domain/test_results_conflicts.py::test_several_touches_in_one_commit_see_each_other",
        ),
    ),
    Mutant(
        "others_do_not_wait_for_a_turn",
        "While a delivery has the instance's turn, other results wait",
        REPLYING,
        (("        return Verdict.WAIT\n", "        pass\n"),),
        killers=(
            "tests/domain/test_results_conflicts.py::test_a_delivery_that_lost_thrice_takes_the_turn_and_others_wait",
        ),
    ),
    Mutant(
        "a_turn_never_ends",
        "A turn ends when its delivery's deadline has passed",
        REPLYING,
        (("        and turn.until > draft.now\n", ""),),
        killers=(
            "tests/domain/test_results_conflicts.py::test_a_turn_ends_with_its_time_or_when_its_call_ended_without_a_result",
        ),
    ),
    Mutant(
        "a_turn_is_not_given_up",
        "A turn ends with the commit of the delivery that has it",
        "domain/draft.py",
        (("            self.touch(turn=None)\n", "            pass\n"),),
        killers=(
            "tests/domain/test_results_conflicts.py::test_a_turn_ends_with_its_time_or_when_its_call_ended_without_a_result",
        ),
    ),
    Mutant(
        "nobody_takes_a_turn",
        "After three conflicts a delivery takes the turn, so that it commits at last",
        "router/conclusions.py",
        (
            (
                "            if call.conflicts < CONFLICTS_BEFORE_TURN and not self._turns.are_wanted(\n"
                "                handling.state\n"
                "            ):",
                "            if True:",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_a_delivery_that_lost_three_times_has_the_turn",
        ),
    ),
    Mutant(
        "losers_are_called_again_together",
        "Of the deliveries that lost a conflict, those that would lose against each other go one after the other",
        "router/contests.py",
        (
            (
                "            if one.places in waiting or any(one.conflicts_with(other) for other in contest.ahead):",
                "            if False:",
            ),
        ),
        killers=(
            "tests/router/test_turns.py::test_a_delivery_that_many_contend_with_is_called_so_often_and_no_more",
        ),
    ),
    Mutant(
        "losers_wait_though_nothing_is_between_them",
        "Deliveries that lost a conflict and do not touch each other are called again together",
        "router/contests.py",
        (
            (
                "        return other.written.conflicts_with(self.reads",
                "        return True or other.written.conflicts_with(self.reads",
            ),
        ),
        killers=(
            "tests/router/test_contests.py::test_those_that_do_not_touch_each_other_are_called_again_together",
        ),
    ),
    Mutant(
        "one_ahead_loses_against_one_behind_it",
        "What the one ahead read is not written by one that is called beside it",
        "router/contests.py",
        (
            (
                "(self.reads, self.writes) or self.written.conflicts_with(\n"
                "            other.reads, other.writes\n"
                "        )\n",
                "(self.reads, self.writes)\n",
            ),
        ),
        killers=(
            "tests/router/test_contests.py::test_what_the_one_ahead_reads_is_not_written_beside_it",
        ),
    ),
    Mutant(
        "one_that_hangs_keeps_those_behind_it",
        "Nobody waits for long for one that is ahead and hangs",
        "router/contests.py",
        (("            contest.ahead = []\n", ""),),
        killers=("tests/router/test_contests.py::test_nobody_waits_for_long_for_one_that_hangs",),
    ),
    Mutant(
        "what_waits_for_a_turn_asks_all_the_time",
        "A result that waits for a turn is not decided again and again meanwhile",
        "router/conclusions.py",
        ((" and touched.verdicts.get(task_id) is not Verdict.WAIT\n", "\n"),),
        killers=(
            "tests/router/test_turns.py::test_a_waiting_result_is_submitted_when_a_turn_ends_elsewhere",
        ),
    ),
    Mutant(
        "turns_that_end_elsewhere_are_not_heard_of",
        "What waits for a turn that another router's delivery has goes on after it",
        "router/turns.py",
        (("        elif waiting.look is None:", "        elif False:"),),
        killers=(
            "tests/router/test_turns.py::test_a_waiting_result_is_submitted_when_a_turn_ends_elsewhere",
        ),
    ),
    Mutant(
        "a_second_turn_beside_the_first",
        "One delivery has the turn at a time",
        RESULTS,
        (("    if turn is not None and turn.until > draft.now:\n", "    if False:\n"),),
        killers=(
            "tests/domain/test_results_conflicts.py::test_a_turn_ends_with_its_time_or_when_its_call_ended_without_a_result",
        ),
    ),
    Mutant(
        "old_results_are_decided_fast",
        "A result older than what is remembered of its instance is decided under the lock",
        "router/committer.py",
        (
            (
                "                or any(\n"
                "                    call.result is not None and call.base_version < state.log_from\n"
                "                    for call in handling.calls.values()\n"
                "                )\n",
                "",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_a_result_older_than_what_is_remembered_is_decided_under_the_lock",
        ),
    ),
    Mutant(
        "the_log_begins_at_now",
        "Under the lock, what was written since the result's version is read",
        "core/store/locked.py",
        (("if since is not None and since < instance.version:", "if False:"),),
        killers=(
            "tests/store/test_engine_locked.py::test_routers_that_race_for_one_instance_lose_no_update",
        ),
    ),
    Mutant(
        "a_lineage_outlives_a_stranger",
        "What is known of an instance is forgotten when somebody else has moved it",
        "router/ledger.py",
        (
            (
                "        if commit.before.revision != self.instance.revision:\n"
                "            self.replace(commit.after)\n"
                "        else:\n",
                "        if True:\n",
            ),
        ),
        killers=(
            "tests/router/test_ledger.py::test_a_commit_after_somebody_elses_begins_a_new_lineage",
        ),
    ),
)
