"""Between "call this delivery's task" and an outcome: which endpoints there are, which is called,
how, and what an answer, a status or a lost connection means.

This room knows nothing of databases, brokers or commits: what an outcome leads to is decided
elsewhere. It must not import `store` or `broker`, nor other rooms of the router.
"""

from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_router.endpoints.calls import Call
from waystation_router.endpoints.outcomes import CallOutcome, Cancelled, Cut
from waystation_router.endpoints.pool import EndpointPool

__all__ = [
    "Answered",
    "Call",
    "CallOutcome",
    "Cancelled",
    "Cut",
    "EndpointPool",
    "Failed",
    "NotSent",
]
