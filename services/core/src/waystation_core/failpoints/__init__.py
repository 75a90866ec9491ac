"""Failpoints: named places on both sides of every commit, claim, announcement, call and reply, where a
test has a server die, wait or fail.

    WAYSTATION_TEST_PROFILE=true
    WAYSTATION_FAILPOINTS='commit.before=kill@3;claim_due_events.after=sleep(2)'

Nothing of this stands in the engine's own code. A server that was told of failpoints puts wrappers
round its ports when it is put together; one that was not has none, so they cost it nothing. Which
points there are, and what each means, says `table.POINTS`; what can be done at them, `plan`.

May import `ports`, `domain` and gRPC; never `store`, `broker`, `rpc` or `relay`.
"""

from waystation_core.failpoints.plan import NAME, PROFILE, BadFailpoints, Plan, plan_of
from waystation_core.failpoints.table import POINTS
from waystation_core.failpoints.wrappers import Failpoints

__all__ = ["NAME", "POINTS", "PROFILE", "BadFailpoints", "Failpoints", "Plan", "plan_of"]
