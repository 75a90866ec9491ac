"""What must have happened to a program in the end: the model that the checker compares with.

Independent of the handlers: it walks over the blocks and says which commits there must be.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from chaos.programs import MOST_EVENTS, Block

COMPLETED, FAILED, CANCELLED = "COMPLETED", "FAILED", "CANCELLED"


@dataclass(slots=True)
class Expectation:
    """`must` and `may` count commits by the block that the token names: each of `must` happens
    once, each of `may` at most so often."""

    statuses: set[str]
    must: Counter[str] = field(default_factory=Counter)
    may: Counter[str] = field(default_factory=Counter)
    dead: set[str] = field(default_factory=set)
    """Blocks that are dead letters, permanently or for a while."""
    dead_maybe: set[str] = field(default_factory=set)
    groups: int = 0
    """Fan-outs that were certainly opened and must have fired once each."""


def expect(program: dict[str, Any]) -> Expectation:
    """For a program as it stands in the run's folder."""
    expected = Expectation({COMPLETED})
    blocks: list[Block] = program["blocks"]
    loose = program["cancel_after"] is not None
    if loose:
        expected.statuses = {COMPLETED, CANCELLED}
    _count(expected, "begin", loose)
    _walk(expected, blocks, loose)
    deadline = program["deadline"]
    naps = sum(block["seconds"] for block in blocks if block["do"] == "nap")
    if deadline is not None and naps > deadline:
        # How far it came by its deadline depends on the faults.
        expected.statuses = {FAILED}
        expected.may += expected.must
        expected.must.clear()
    for block in blocks:
        if block["do"] == "poison" and block["operator"] == "discard":
            expected.statuses = {FAILED}
    for at in range(len(program["notes"])):
        _count(expected, f"note.{program['instance']}.{at}", loose=True)
    return expected


def _walk(expected: Expectation, blocks: list[Block], loose: bool) -> None:
    for block in blocks:
        do, name = block["do"], block["id"]
        if do == "give_up" or do == "kill":
            _dead(expected, name, loose)
            # Nothing follows: this branch has failed.
            return
        if do == "run_on":
            # As often as the limit of attempts allows; then it is a dead letter.
            expected.may[name] = MOST_EVENTS
            expected.statuses = {FAILED}
            _dead(expected, name, loose)
            return
        _count(expected, name, loose)
        if do == "fan":
            needed = int(block.get("need", 0))
            for branch in block["branches"]:
                _walk(expected, branch, loose or needed > 0)
            expected.groups += not loose
        elif do == "split":
            for branch in range(int(block["width"])):
                _count(expected, f"{name}.{branch}", loose)
        elif do == "ask":
            _count(expected, f"{name}.{'answered' if block['answered'] else 'unanswered'}", loose)
        elif do == "spark":
            _count(expected, f"{name}.flash", loose=True)
        elif do == "poison":
            _dead(expected, name, loose)
            if block["operator"] == "discard":
                expected.must[name] -= 1
                return


def _count(expected: Expectation, name: str, loose: bool) -> None:
    (expected.may if loose else expected.must)[name] += 1


def _dead(expected: Expectation, name: str, loose: bool) -> None:
    (expected.dead_maybe if loose else expected.dead).add(name)
