"""Namespaces that do not see each other, and their limits."""

from mutants.mutant import Mutant

_SIDE_BY_SIDE = "tests/e2e/test_namespaces.py::"
_EVERY_ERROR = "tests/api/test_every_error.py::"

MUTANTS = (
    Mutant(
        "instances_are_read_in_any_namespace",
        "An id names an instance of its namespace only",
        "core/store/queries.py",
        (
            (
                '"WHERE i.namespace = %(namespace)s AND i.workflow_instance_id = ANY(%(ids)s)"',
                "\"WHERE %(namespace)s <> '' AND i.workflow_instance_id = ANY(%(ids)s)\"",
            ),
        ),
        killers=(f"{_EVERY_ERROR}test_an_id_of_another_namespace_is_not_there",),
    ),
    Mutant(
        "endpoints_are_called_for_any_namespace",
        "A task is called where it was registered in the namespace of the instance",
        "router/endpoints/directory.py",
        (
            (
                "                if link.endpoint.namespace == call.namespace\n                and ",
                "                if ",
            ),
        ),
        killers=(f"{_SIDE_BY_SIDE}test_each_namespace_sees_exactly_its_own",),
    ),
    Mutant(
        "max_in_flight_of_a_namespace_is_not_kept",
        "A namespace has at most max_in_flight calls over all routers",
        "router/places.py",
        (
            (
                "        if not may_start or namespace.taken >= self._most_of(namespace.name):\n",
                "        if not may_start:\n",
            ),
        ),
        killers=(f"{_SIDE_BY_SIDE}test_a_namespace_has_so_many_calls_at_once_and_no_more",),
    ),
    Mutant(
        "open_workflows_are_not_limited",
        "A namespace has at most so many open workflows",
        "api/namespaces/limits.py",
        (
            (
                "    if most is not None and state.open_workflows + admitted >= most:\n",
                "    if False:\n",
            ),
        ),
        killers=(f"{_SIDE_BY_SIDE}test_namespaces_are_made_limited_and_deleted",),
    ),
    Mutant(
        "a_namespace_in_use_is_deleted",
        "Only an empty namespace is deleted",
        "core/store/namespaces.py",
        (("            if any(used):\n", "            if False:\n"),),
        killers=(f"{_SIDE_BY_SIDE}test_namespaces_are_made_limited_and_deleted",),
    ),
    Mutant(
        "a_namespace_floods_with_many_types",
        "A namespace that floods lets others pass, of however many types its flood is",
        "core/relay/fair_levels.py",
        (("            or self._namespaces.floods_others(namespace)\n", ""),),
        killers=(
            "tests/relay/test_fair_levels.py::"
            "test_a_namespace_that_floods_with_many_types_lets_other_namespaces_pass",
        ),
    ),
)
