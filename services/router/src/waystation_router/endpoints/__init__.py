"""From "call this delivery's task" to an outcome: which endpoints exist, which one is called, how, and what
an answer, a status or a lost connection means.

This package knows nothing of databases, brokers or commits: what follows from an outcome is decided
elsewhere. It must not import `store` or `broker`, nor other packages of the router.
"""

from waystation_router.endpoints.directory import EndpointDirectory
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_router.endpoints.outcomes import CallCut, CallOutcome, Cancelled

__all__ = [
    "CallCut",
    "CallOutcome",
    "Cancelled",
    "EndpointCall",
    "EndpointDirectory",
]
