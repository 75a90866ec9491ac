"""What happens at which failpoint, and when.

    POINT=ACTION        every time
    POINT=ACTION@N      the Nth time only
    POINT=ACTION@N+     from the Nth time on
    POINT=ACTION%0.1    with this probability, the same times for the same seed

Several are separated by `;`. POINT may be `*`: points without errors then have none. The actions:

    kill        SIGKILL to its own process
    sleep(S)    waits for S seconds
    stall(S)    blocks the whole process for S seconds
    error       the database cannot be reached, the broker does not confirm, the client gets UNAVAILABLE.
                At a point `before` nothing was done; at one `after` everything was, and the answer is lost
    note        a line in the log, the first time

An empty claim passes no `after` point, which would be reached all the time.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from waystation_core.failpoints.table import NO_ERRORS, POINTS
from waystation_domain.errors import StoreUnavailable

NAME = "WAYSTATION_FAILPOINTS"
SEED = "WAYSTATION_FAILPOINTS_SEED"
PROFILE = "WAYSTATION_TEST_PROFILE"

EVERYWHERE = "*"
_SOON_SECONDS = 0.05
_RULE = re.compile(
    r"(?P<point>[a-z_.*]+)=(?P<action>kill|error|note|(?:sleep|stall)\((?P<seconds>\d+(?:\.\d+)?)\))"
    r"(?:@(?P<nth>[1-9]\d*)(?P<on>\+)?|%(?P<chance>0?\.\d+|1))?"
)

log = structlog.get_logger(__name__)


class BadFailpoints(Exception):
    """Faults of the variables, a sentence each."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(" ".join(faults))


class FailpointError(Exception):
    """The cause of a requested error; names its point."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One action at one point."""

    point: str
    action: str
    seconds: float = 0.0
    nth: int | None = None
    on: bool = False
    chance: float | None = None

    def is_due(self, count: int, chances: random.Random) -> bool:
        """Whether it happens the `count`th time."""
        if self.chance is not None:
            return chances.random() < self.chance
        if self.nth is None:
            return True
        return count >= self.nth if self.on else count == self.nth


def plan_of(environment: Mapping[str, str]) -> Plan | None:
    """The plan of these variables; None if there is none. Raises BadFailpoints, also outside of tests."""
    text = environment.get(NAME, "").strip()
    if not text:
        return None
    faults, rules = [], []
    if environment.get(PROFILE) != "true":
        faults.append(
            f"{NAME} makes a server fail on purpose. It is for tests: they set {PROFILE}=true."
        )
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _RULE.fullmatch(part)
        if found is None or found["point"] not in (EVERYWHERE, *POINTS):
            faults.append(f"{NAME}: {part!r} is not a failpoint; see waystation_core.failpoints.")
            continue
        if found["action"] == "error" and found["point"] in NO_ERRORS:
            faults.append(f"{NAME}: at {found['point']} an error cannot be raised.")
            continue
        rules.append(
            Rule(
                point=found["point"],
                action=found["action"].partition("(")[0],
                seconds=float(found["seconds"] or 0),
                nth=int(found["nth"]) if found["nth"] else None,
                on=found["on"] is not None,
                chance=float(found["chance"]) if found["chance"] else None,
            )
        )
    if faults:
        raise BadFailpoints(faults)
    return Plan(rules, seed=environment.get(SEED, "0"))


class Plan:
    """Counts how often each point was reached, and does what the rules say."""

    def __init__(self, rules: list[Rule], *, seed: str = "0") -> None:
        self._rules = rules
        self._chances = {
            rule: random.Random(f"{seed} {rule.point}")  # noqa: S311  # repeatable, not secret
            for rule in rules
        }
        self.reached: Counter[str] = Counter()

    @property
    def text(self) -> list[str]:
        """What it does, for logs."""
        return [f"{rule.point}={rule.action}" for rule in self._rules]

    async def at(self, point: str) -> None:
        """The point is reached. Raises StoreUnavailable, or waits, if a rule says so."""
        for rule in self._due(point):
            if rule.action == "sleep":
                await asyncio.sleep(rule.seconds)
            else:
                self._do(rule, point)

    def at_once(self, point: str) -> None:
        """Like `at`, where waiting is impossible: sleep blocks the process."""
        for rule in self._due(point):
            self._do(rule, point)

    def soon(self, point: str) -> None:
        """The point is reached in a moment, when gRPC has sent what it just got."""
        asyncio.get_running_loop().call_later(_SOON_SECONDS, self.at_once, point)

    def _due(self, point: str) -> list[Rule]:
        self.reached[point] += 1
        count = self.reached[point]
        return [
            rule
            for rule in self._rules
            if rule.point in (point, EVERYWHERE) and rule.is_due(count, self._chances[rule])
        ]

    def _do(self, rule: Rule, point: str) -> None:
        if rule.action == "note":
            if self.reached[point] == 1:
                log.warning("failpoint", point=point)
            return
        log.error("failpoint", point=point, action=rule.action, count=self.reached[point])
        if rule.action == "kill":
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        elif rule.action == "error" and point not in NO_ERRORS:
            raise StoreUnavailable(
                f"A test requested this failure at {point}; retry the request."
            ) from FailpointError(point)
        elif rule.action in ("sleep", "stall"):
            time.sleep(rule.seconds)
