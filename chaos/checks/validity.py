"""Whether a run has proved anything: its faults had an effect, and its operations mostly succeeded."""

import json
from collections.abc import Iterator
from pathlib import Path

from chaos.checks.evidence import Evidence, Fields

LEAST_SHARE = 0.8


def doubts(evidence: Evidence, scheduled: list[Fields]) -> Iterator[str]:
    """Why this run is invalid; nothing where it is valid."""
    healed = {line["number"]: line for line in evidence.faults if line["event"] == "healed"}
    for entry in scheduled:
        line = healed.get(entry["number"])
        what = f"fault {entry['number']} ({entry['kind']} {json.dumps(entry['params'])})"
        if line is None:
            yield f"{what} was not carried out"
        elif not line["bit"]:
            yield f"{what} did not bite: {line['evidence']}"
    share = fine_share(evidence)
    if share < LEAST_SHARE:
        yield f"{share:.0%} of operations were fine, less than {LEAST_SHARE:.0%}"
    if not evidence.instances:
        yield "no instance was read in the end"
    if not evidence.complete:
        yield "the run did not come to its end"


def fine_share(evidence: Evidence) -> float:
    """The share of operations that were carried out, or refused in good order."""
    if not evidence.operations:
        return 0.0
    fine = sum(bool(operation["fine"]) for operation in evidence.operations)
    return fine / len(evidence.operations)


def read_schedule(file: Path) -> list[Fields]:
    """The faults that were planned."""
    entries: list[Fields] = json.loads(file.read_text()) if file.exists() else []
    return entries
