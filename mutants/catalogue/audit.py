"""Who changed what: the row that stands or falls with the change, refusals, rights."""

from mutants.mutant import Mutant

API_TEST = "tests/api/test_audit.py"

MUTANTS = (
    Mutant(
        "a_change_without_its_audit_row",
        "A committed change has its row in the audit log",
        "core/decisions.py",
        (
            (
                "                    await locked.record(by.due)\n",
                "                    pass\n",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py"
            "::test_the_entry_of_a_call_is_stored_once_however_often_it_is_decided",
        ),
    ),
    Mutant(
        "an_audit_row_for_nothing",
        "A call that changes nothing has no row in the audit log",
        "core/decisions.py",
        (
            (
                "if by is not None and by.due is not None and not commit.is_empty:",
                "if by is not None and by.due is not None:",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::test_a_call_that_changes_nothing_has_no_entry",
        ),
    ),
    Mutant(
        "a_flood_of_refusals_is_a_flood_of_rows",
        "Equal refusals are counted after the first few",
        "api/audit/refusals.py",
        (("        if window.own < OWN_ENTRIES:\n", "        if True:\n"),),
        killers=("tests/api/test_refusals.py::test_a_flood_is_a_few_rows_and_a_number",),
    ),
    Mutant(
        "an_admin_of_one_namespace_sees_all_of_the_audit_log",
        "An admin sees the audit log of his namespaces only",
        "api/audit/service.py",
        (("    if EVERY in own:\n", "    if EVERY in own or own:\n"),),
        killers=(f"{API_TEST}::test_an_admin_of_a_namespace_sees_only_that_one",),
    ),
    Mutant(
        "servers_may_rewrite_history",
        "The role of servers cannot change what was recorded",
        "core/store/roles.py",
        (('    "history": _ADD,\n', '    "history": _KEEP,\n'),),
        killers=("tests/store/test_roles.py::test_a_server_may_not",),
    ),
)
