"""What a migration does to tables with rows, while servers work on them: read by squawk."""

import io
import json
import subprocess
import sys
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from waystation_core.store.fitness import OLDEST
from waystation_core.store.migration import alembic_config

EVERYWHERE = {
    "prefer-bigint-over-int": "how large numbers become is known, and a row has many of them",
    "prefer-bigint-over-smallint": "statuses are few",
    "require-lock-timeout": "`migrate` sets it for all of its steps",
    "require-statement-timeout": "a step on a large table may take its time, while others do not wait",
}
"""Rules that do not hold here, and why."""

_BEFORE_RELEASE = "made before the first release, when no server worked on the tables"
EXCEPTIONS = {
    ("0002", "require-concurrent-index-creation"): _BEFORE_RELEASE,
    ("0002", "require-concurrent-index-deletion"): _BEFORE_RELEASE,
    ("0003", "require-concurrent-index-creation"): _BEFORE_RELEASE,
    ("0003", "require-concurrent-index-deletion"): _BEFORE_RELEASE,
    ("0003", "ban-drop-table"): _BEFORE_RELEASE,
    ("0006", "adding-not-nullable-field"): "the table has one row",
    ("0007", "ban-drop-column"): _BEFORE_RELEASE,
    ("0009", "require-concurrent-index-creation"): _BEFORE_RELEASE,
    ("0012", "require-concurrent-index-creation"): _BEFORE_RELEASE,
    ("0012", "require-concurrent-index-deletion"): _BEFORE_RELEASE,
}
"""By version and rule, why a migration may do what the rule warns of. A new line needs its own reason: which servers
wait how long, with a million rows."""

SQUAWK = Path(sys.executable).parent / "squawk"


def sql_of_migrations(folder: Path) -> list[Path]:
    """A file with the statements of each migration, named after its version."""
    files = []
    for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions():
        written = io.StringIO()
        context = MigrationContext.configure(
            dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
        )
        with Operations.context(context):
            revision.module.upgrade()
        files.append(folder / f"{revision.revision}.sql")
        files[-1].write_text(written.getvalue())
    return files


def findings(files: list[Path]) -> set[tuple[str, str]]:
    """Version and rule of everything that squawk warns of."""
    # All steps are one transaction.
    options = ("--assume-in-transaction", f"--pg-version={OLDEST}", "--reporter=json")
    done = subprocess.run([SQUAWK, *options, *files], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return {(Path(each["file"]).stem, each["rule_name"]) for each in json.loads(done.stdout)}


def test_no_migration_holds_a_lock_that_lasts(tmp_path: Path) -> None:
    found = findings(sql_of_migrations(tmp_path))
    known = {each for each in found if each[1] in EVERYWHERE}
    assert {rule for _, rule in known} == set(EVERYWHERE)
    assert found - known == set(EXCEPTIONS), "add a reason to EXCEPTIONS, or take the line out"


def test_a_lock_that_lasts_is_found(tmp_path: Path) -> None:
    file = tmp_path / "9999.sql"
    file.write_text("ALTER TABLE history ALTER COLUMN attempt TYPE bigint;")
    assert ("9999", "changing-column-type") in findings([file])
