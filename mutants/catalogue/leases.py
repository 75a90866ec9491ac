"""Leases of routers: who keeps them, who may break them, and what becomes of what a dead router had."""

from mutants.mutant import Mutant

LEASES = "core/store/leases.py"
LEASE = "router/lease.py"

MUTANTS = (
    Mutant(
        "leases_are_broken_at_once",
        "A router breaks another's lease only after it has renewed without a gap for a whole period",
        LEASE,
        (("            and self._renewed_at - self._renewed_since >= self.seconds\n", ""),),
        killers=("tests/router/test_lease.py::test_only_who_was_renewed_for_a_whole_lease_may",),
    ),
    Mutant(
        "a_gap_is_no_gap",
        "A router that could not renew begins its period anew",
        LEASE,
        (
            (
                "                self._retries.failed(error)\n"
                "                self._renewed_since = None\n",
                "                self._retries.failed(error)\n",
            ),
            ("            or now - self._renewed_at > self.seconds\n", ""),
        ),
        killers=("tests/router/test_lease.py::test_only_who_was_renewed_for_a_whole_lease_may",),
    ),
    Mutant(
        "own_lease_may_have_lapsed",
        "A router whose own lease had lapsed begins its period anew",
        LEASE,
        (("            not heartbeat.held\n            or ", "            "),),
        killers=("tests/router/test_lease.py::test_only_who_was_renewed_for_a_whole_lease_may",),
    ),
    Mutant(
        "a_slow_renewal_costs_the_lease",
        "A renewal that is not answered soon leaves time for another one",
        LEASE,
        (("PATIENCE = 1 / 4\n", "PATIENCE = 2 / 3\n"),),
        killers=(
            "tests/router/test_lease.py::test_after_a_renewal_without_an_answer_there_is_time_for_another",
        ),
    ),
    Mutant(
        "the_dead_are_not_announced_for",
        "What a dead router committed and did not announce is announced soon",
        LEASES,
        (
            (
                "    WHERE {_DEAD} AND o.announcements = 1 AND",
                "    WHERE false AND o.announcements = 1 AND",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_what_a_router_may_have_left_unannounced_when_it_died_is_due",
        ),
    ),
    Mutant(
        "leases_of_nobody_stay",
        "What is leased to a router that is not known is free",
        LEASES,
        (
            (
                "leased_by NOT IN (\n        SELECT router_id FROM routers WHERE NOT ({_DEAD})))",
                "leased_by IN (\n        SELECT router_id FROM routers WHERE ({_DEAD})))",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_what_a_dead_router_had_in_call_is_suspect",
        ),
    ),
    Mutant(
        "the_living_lose_their_leases",
        "Only leases that have lapsed are broken",
        LEASES,
        (('_DEAD = "lease_until < now() AND', '_DEAD = "true AND'),),
        killers=(
            "tests/store/test_engine_sweeps.py::test_what_a_dead_router_had_in_call_is_suspect",
        ),
    ),
    Mutant(
        "who_leaves_keeps_its_deliveries",
        "A router that stops gives back what it has leased",
        LEASES,
        (
            (
                "            while portion == GIVEN_BACK_AT_ONCE:\n",
                "            while False:\n",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_a_router_that_leaves_gives_back_what_it_had_at_no_cost",
        ),
    ),
    Mutant(
        "giving_back_costs",
        "What is given back in good order costs no attempt, a suspect's recorded one neither",
        LEASES,
        (("CASE WHEN suspect AND attempts > 0 THEN 1 ELSE 0 END", "0"),),
        killers=(
            "tests/store/test_engine_sweeps.py::test_a_router_that_leaves_gives_back_what_it_had_at_no_cost",
        ),
    ),
    Mutant(
        "leases_are_broken_in_one_statement",
        "Leases are broken in portions, and the router's row stays until the last one",
        LEASES,
        (("            if not more:\n", "            if True:\n"),),
        killers=(
            "tests/store/test_portions.py::test_what_a_dead_router_left_is_brought_back_in_portions",
        ),
    ),
)
