"""`make scale` in a short form: whatever waits comes back, and the report says what was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.system import ROOT

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("case", ["parked", "watchers", "slow-calls", "growth", "hot-instance"])
def test_a_case_strains_the_system_and_writes_its_rows(
    tmp_path: Path, case: str, empty_database_url: str, amqp_url: str
) -> None:
    """Rates and times at this size say nothing, so they are not judged."""
    output = tmp_path / "rows.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "scale", "--case", case, "--number", "200"),
            *("--seconds", "0.5", "--output", output),
            *("--database-url", empty_database_url, "--broker-url", amqp_url),
        ],
        cwd=ROOT,
        # The run's Postgres need not survive its machine.
        env={**os.environ, "WAYSTATION_UNSAFE_DATABASE": "true"},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    rows = json.loads(output.read_text(encoding="utf-8"))
    assert done.returncode == int(not all(row["holds"] for row in rows)), done.stderr
    assert {row["case"] for row in rows} == {case}
    figures = {row["what"]: row["figure"] for row in rows}
    if case == "parked":
        # Within the minute that the case looks on.
        assert figures["until the first of 200 is handled"] < 60
        assert figures["handled a second after that"] > 0
    elif case == "slow-calls":
        assert figures["calls that one router held at once"] >= 200
        assert figures["not completed in the end"] == figures["calls that were made again"] == 0
    elif case == "growth":
        # Whatever is looked for, in a database that has some of it; a second is what a search may take.
        assert all(figures[what] < 1 for what in figures if what.startswith(("workflows:", "dead")))
        assert figures["status"] < 1
    elif case == "hot-instance":
        assert figures["results that took no effect"] == 0
        # Once to lose and once to win; three and more where all that lost are called again together.
        assert figures["calls for each delivery of a naive join"] < 2.5
    else:
        assert figures["200 at once on 1 connections that failed"] == 0
    assert all(row["what"] in done.stdout for row in rows)
