"""What a router decides from its own copies: what proves them, and what becomes of a commit without an answer."""

from mutants.mutant import Mutant

STATEMENTS = "core/store/statements.py"
COMMITTER = "router/committer.py"

MUTANTS = (
    Mutant(
        "a_router_decides_by_its_own_clock",
        "Every decision has the store's time, in whichever form it is made",
        "router/committer.py",
        (
            ("            now=now,\n", "            now=datetime.now(UTC),\n"),
            ("import asyncio\n", "import asyncio\nfrom datetime import UTC, datetime\n"),
        ),
        killers=("tests/house/test_clocks.py::test_the_clock_of_a_process_decides_nothing",),
    ),
    Mutant(
        "no_generation_check",
        "A commit that fixes an event's tasks is refused when the registry has moved",
        STATEMENTS,
        (
            (
                "      AND (NOT x.fixes OR x.generation =\n"
                "           (SELECT generation FROM registry WHERE namespace = i.namespace))\n",
                "",
            ),
        ),
        killers=(
            "tests/store/test_engine.py::test_what_rests_on_the_registry_is_written_only_at_its_generation",
        ),
    ),
    Mutant(
        "tasks_are_not_resolved_again",
        "The tasks of an event are those of the generation that its first commit carries",
        "router/locked_commits.py",
        (
            (
                "        if handling.generation == registry.generation:\n            return\n",
                "        return\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_a_task_that_comes_before_the_first_commit_gets_the_event_too",
        ),
    ),
    Mutant(
        "a_copy_of_another_generation_is_good_enough",
        "The fast form decides only by the registry that the event's tasks were resolved with",
        COMMITTER,
        (
            (
                "                or (handling.facts.in_outbox and handling.generation != generation)\n",
                "",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_a_task_that_comes_before_the_first_commit_gets_the_event_too",
        ),
    ),
    Mutant(
        "the_copy_proves_itself",
        "A result is not dropped as a duplicate because of a router's copy alone",
        COMMITTER,
        (
            (
                "            # duplicate, or called again, because of a copy alone.\n"
                "            return False\n",
                "            pass\n",
            ),
        ),
        killers=("tests/router/test_deliveries.py::test_a_copy_that_is_wrong_drops_no_result",),
    ),
    Mutant(
        "an_unknown_commit_is_not_repeated",
        "A commit of unknown outcome is repeated as it is",
        COMMITTER,
        (
            (
                "                unknown = True\n                failures += 1\n",
                "                unknown = True\n                break\n",
            ),
        ),
        survives="Each instance is decided again under its lock, and what the first try raised is made due: slower, and nothing is lost or doubled",
    ),
    Mutant(
        "an_unknown_commit_is_not_announced",
        "What a commit of unknown outcome raised is announced soon",
        COMMITTER,
        (
            (
                "[commit for commit in commits if commit.before.key not in done]\n",
                "[]\n",
            ),
        ),
        killers=(
            "tests/router/test_relay.py::test_what_a_commit_of_unknown_outcome_raised_is_announced_soon",
        ),
    ),
    Mutant(
        "copies_outlive_an_outage",
        "After an outage copies that nothing is under way for are dropped",
        "router/ledger.py",
        (
            (
                "        for state in list(self._remembered.values()):\n            if state.handlings:",
                "        for state in []:\n            if state.handlings:",
            ),
        ),
        survives="A copy is used only together with its revision, which every commit checks: an old one costs a second try and decides nothing",
    ),
    Mutant(
        "one_refused_result_fails_the_batch",
        "A batch that Postgres refuses is taken apart, instance by instance",
        COMMITTER,
        (
            (
                '                log.error("batch_refused", error=str(error.__cause__), instances=len(commits))\n'
                "                break\n",
                '                log.error("batch_refused", error=str(error.__cause__), instances=len(commits))\n'
                "                await asyncio.sleep(0.2)\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_one_result_that_postgres_refuses_delays_no_other",
        ),
    ),
    Mutant(
        "commits_wait_for_locked_instances",
        "Instances locked elsewhere are skipped by a batch and commit next, alone",
        STATEMENTS,
        (
            (
                "    ORDER BY i.key\n    FOR UPDATE OF i SKIP LOCKED\n",
                "    ORDER BY i.key\n    FOR UPDATE OF i\n",
            ),
        ),
        killers=(
            "tests/store/test_engine.py::test_a_locked_instance_is_not_written_and_not_waited_for",
        ),
    ),
    Mutant(
        "a_router_that_loads_nothing_keeps_an_old_time",
        "A router knows the store's time without a load, too",
        "router/reconciler.py",
        (("            self._ledger.clock.set(now)\n", ""),),
        killers=(
            "tests/router/test_store_clock.py::"
            "test_a_router_that_loads_nothing_for_long_sets_it_all_the_same",
        ),
    ),
)
