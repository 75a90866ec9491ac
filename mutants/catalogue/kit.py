"""The test kit keeps what the rules decide, and calls what is due."""

from mutants.mutant import Mutant

_LIVES = "tests/worker_sdk/test_kit_lives.py"
_ENGINE = "tests/worker_sdk/test_kit_engine.py"

MUTANTS = (
    Mutant(
        "the_kit_keeps_what_is_in_call",
        "What has no outcome after a round is called again",
        "worker_sdk/testing/router.py",
        (
            (
                "            self._commit(one, base, answer)\n        self._memory.give_back()\n",
                "            self._commit(one, base, answer)\n",
            ),
        ),
        killers=(_LIVES, _ENGINE),
    ),
    Mutant(
        "the_kit_does_not_wait",
        "A delivery is called when it is due, and not before",
        "worker_sdk/testing/router.py",
        (("and memory.due[row.event_id, row.task_id] <= now", ""),),
        killers=(f"{_ENGINE}::test_retries_come_at_their_time_and_the_clock_is_the_tests",),
    ),
    Mutant(
        "the_kit_forgets_what_was_written",
        "An answer conflicts with what others wrote since it was computed",
        "worker_sdk/testing/memory.py",
        (("now=self.clock(), log=self._log\n", "now=self.clock(), log=()\n"),),
        killers=(f"{_ENGINE}::test_what_conflicts_is_called_again_with_fresh_data",),
    ),
    Mutant(
        "the_kit_spreads_retries",
        "Retries come in the kit at the times that the backoff says",
        "worker_sdk/testing/engine.py",
        (("lambda: 0.5", "lambda: 0.9"),),
        killers=(f"{_ENGINE}::test_retries_come_at_their_time_and_the_clock_is_the_tests",),
    ),
)
