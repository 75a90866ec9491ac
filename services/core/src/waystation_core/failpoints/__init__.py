"""Failpoints: named places before and after every commit, claim, announcement, call and reply, where a
test makes a server die, wait or fail.

    WAYSTATION_TEST_PROFILE=true
    WAYSTATION_FAILPOINTS='commit.before=kill@3;claim_due_events.after=sleep(2)'

The engine's own code has nothing of this. A server with failpoints in its environment wraps its ports when
it is built; any other has no wrappers, so failpoints cost it nothing. `table.POINTS` has all points with
their meaning, `plan` the actions.

May import `ports`, `domain` and gRPC; never `store`, `broker`, `rpc` or `relay`.
"""

from waystation_core.failpoints.plan import NAME, PROFILE, BadFailpoints, Plan, plan_of
from waystation_core.failpoints.table import POINTS
from waystation_core.failpoints.wrappers import Failpoints

__all__ = ["NAME", "POINTS", "PROFILE", "BadFailpoints", "Failpoints", "Plan", "plan_of"]
