"""Between "call this delivery's task" and an outcome: which endpoints there are, which is called,
how, and what an answer, a status or a lost connection means.

This room knows nothing of databases, brokers or commits: what an outcome leads to is decided
elsewhere. It must not import `store` or `broker`, nor other rooms of the router.
"""

from waystation_router.endpoints.calls import Call
from waystation_router.endpoints.outcomes import CallCut, CallOutcome, Cancelled
from waystation_router.endpoints.pool import EndpointPool

__all__ = [
    "Call",
    "CallCut",
    "CallOutcome",
    "Cancelled",
    "EndpointPool",
]
