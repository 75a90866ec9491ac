"""Structured fan-out: a group fires once, after all its branches, and what it counts."""

from mutants.mutant import Mutant

GROUPS = "domain/groups.py"

MUTANTS = (
    Mutant(
        "taken_off_before_added",
        "A commit adds what an answer raised before it takes off the event that it answers",
        "domain/replies.py",
        (
            (
                "from waystation_domain.errors import",
                "from waystation_domain.idle import Ending\nfrom waystation_domain.errors import",
            ),
            (
                "    draft.end_delivery(event.event_id, task_id)\n    if operations:\n",
                "    draft.end_delivery(event.event_id, task_id)\n"
                "    draft.ended(event, Ending.HANDLED)\n"
                "    if operations:\n",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_what_a_branch_raises_belongs_to_it",),
    ),
    Mutant(
        "a_group_fires_again",
        "A group fires once",
        GROUPS,
        (
            (
                "        groups=tuple(one for one in draft.instance.groups if one.group_id != group.group_id)\n"
                "    )\n"
                "    if group.deadline",
                "        groups=draft.instance.groups\n    )\n    if group.deadline",
            ),
        ),
        killers=(
            "tests/domain/test_groups.py::test_then_follows_the_last_branch_once_and_continues_what_opened_the_group",
        ),
    ),
    Mutant(
        "a_group_fires_at_its_first_branch",
        "A group fires after all its branches",
        GROUPS,
        (("    if not remaining or (group.need", "    if True or (group.need"),),
        killers=(
            "tests/domain/test_groups.py::test_then_follows_the_last_branch_once_and_continues_what_opened_the_group",
        ),
    ),
    Mutant(
        "need_is_ignored",
        "A group that needs some of its branches fires with them",
        GROUPS,
        (
            (
                "    if not remaining or (group.need and well >= group.need):\n",
                "    if not remaining:\n",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_enough_that_settled_well_is_enough",),
    ),
    Mutant(
        "failed_branches_count_for_need",
        "A branch that failed is none that went well",
        GROUPS,
        (
            (
                'all(failure["branch"] != branch.number for failure in group.failed)',
                "1",
            ),
        ),
        killers=(
            "tests/domain/test_groups.py::test_need_that_can_t_be_reached_fires_when_all_are_settled",
        ),
    ),
    Mutant(
        "then_outside_its_group",
        "`then` belongs to the branch of what it continues",
        GROUPS,
        (("        branch=group.outer,\n", "        branch=None,\n"),),
        killers=(
            "tests/domain/test_groups.py::test_groups_nest_and_the_outer_one_waits_for_what_the_inner_one_led_to",
        ),
    ),
    Mutant(
        "inner_groups_are_not_counted",
        "A branch waits for the groups that were opened in it",
        GROUPS,
        (("    if group.outer is not None:\n        draft.enter(group.outer)\n", ""),),
        killers=(
            "tests/domain/test_groups.py::test_groups_nest_and_the_outer_one_waits_for_what_the_inner_one_led_to",
        ),
    ),
    Mutant(
        "an_inner_group_is_never_left",
        "A group that has fired is nothing to wait for",
        GROUPS,
        (("    if group.outer is not None:\n        leave(draft, group.outer)\n", ""),),
        killers=(
            "tests/domain/test_groups.py::test_groups_nest_and_the_outer_one_waits_for_what_the_inner_one_led_to",
        ),
    ),
    Mutant(
        "an_empty_group_never_fires",
        "An empty group fires at once",
        GROUPS,
        (("        if not group.size:\n", "        if False:\n"),),
        killers=(
            "tests/domain/test_groups.py::test_an_empty_group_fires_in_the_commit_that_opens_it",
        ),
    ),
    Mutant(
        "waits_are_not_counted",
        "A branch waits for the questions that were asked in it",
        "domain/replies.py",
        (("    if wait.branch is not None:\n        draft.enter(wait.branch)\n", ""),),
        killers=("tests/domain/test_groups.py::test_a_branch_waits_for_its_person",),
    ),
    Mutant(
        "an_answer_outside_its_branch",
        "The event that ends a wait belongs to the branch that asked",
        "domain/actions.py",
        (
            (
                "        cause=None,\n        branch=wait.branch,\n",
                "        cause=None,\n        branch=None,\n",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_a_branch_waits_for_its_person",),
    ),
    Mutant(
        "a_wait_that_timed_out_outside_its_branch",
        "The event that ends a wait in vain belongs to the branch that asked",
        "domain/timers.py",
        (("        branch=wait.branch,\n", "        branch=None,\n"),),
        killers=("tests/domain/test_timers.py::test_a_branch_goes_on_with_the_end_of_its_wait",),
    ),
    Mutant(
        "failed_branches_are_not_told",
        "`then` tells which branches failed",
        "domain/failures.py",
        (
            (
                '        groups.fail(draft, event, task.task_id, stored["reason"], stored["message"])\n',
                "",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_failed_branches_are_values",),
    ),
    Mutant(
        "unhandled_branches_are_not_told",
        "`then` tells which branches nobody handled",
        GROUPS,
        (
            (
                '    fail(draft, event, "", _UNHANDLED, f"no task handles `{event.event_type}`")\n',
                "    return\n",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_failed_branches_are_values",),
    ),
    Mutant(
        "discarded_branches_are_not_told",
        "`then` tells which branches were discarded",
        "domain/dead_letters.py",
        (("    if row is not None and not row.outside_group:\n", "    if False:\n"),),
        killers=("tests/domain/test_groups.py::test_a_discarded_dead_letter_is_a_failed_branch",),
    ),
    Mutant(
        "a_retry_within_a_settled_group",
        "What is retried after its group has counted it runs outside the group",
        "domain/dead_letters.py",
        (
            (
                "row.outside_group if row is not None else event.branch is not None",
                "False",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_what_is_retried_later_runs_outside_its_group",),
    ),
    Mutant(
        "results_outside_are_counted",
        "What a delivery outside its group raises is not waited for",
        "domain/results.py",
        (("    if row.outside_group:\n", "    if False:\n"),),
        killers=("tests/domain/test_groups.py::test_what_is_retried_later_runs_outside_its_group",),
    ),
    Mutant(
        "catch_up_after_the_group_has_fired",
        "Catch-up leaves out events of groups that have fired",
        GROUPS,
        (
            (
                "    return event.branch is None or _is_open(draft, event.branch)\n\n\ndef take_back",
                "    return True\n\n\ndef take_back",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_a_group_that_has_fired_is_not_caught_up_with",),
    ),
    Mutant(
        "catch_up_takes_nothing_back",
        "An event that a late task gets is waited for again",
        "domain/actions.py",
        (
            (
                "            if not facts.holds_group:\n                groups.take_back(draft, event)\n",
                "",
            ),
        ),
        killers=(
            "tests/domain/test_groups.py::test_a_task_that_comes_late_takes_an_unhandled_branch_back_while_the_group_waits",
        ),
    ),
    Mutant(
        "a_group_outlives_its_deadline",
        "A group fires when its time is over",
        GROUPS,
        (("        _fire(draft, group, timed_out=True)\n", "        pass\n"),),
        killers=(
            "tests/domain/test_groups.py::test_a_group_fires_at_its_time_and_names_what_is_open",
        ),
    ),
    Mutant(
        "the_limit_stops_then",
        "`then` was promised: the limit of events does not stop it",
        GROUPS,
        (
            (
                "        # Its `then` was promised when the group was opened.\n        limited=False,\n",
                "        limited=True,\n",
            ),
        ),
        killers=("tests/domain/test_groups.py::test_then_comes_even_at_the_limit_of_events",),
    ),
    Mutant(
        "groups_outlive_the_instance",
        "Nothing is waited for after an end",
        "domain/draft.py",
        (("            self.touch(groups=())\n", "            pass\n"),),
        killers=("tests/domain/test_groups.py::test_a_workflow_that_ended_has_no_groups",),
    ),
)
