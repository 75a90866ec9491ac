"""What a server needs to keep running: background tasks that somebody owns, retries that are paced,
and an answer to whether writes go through.

May import `domain`. Nothing in here knows a store, a broker or gRPC.
"""

from waystation_core.background.contact import Contact
from waystation_core.background.owned import Died, Kept, Owner, job, keep, owner, step
from waystation_core.background.retries import Retries, through_outages, wait_before

__all__ = [
    "Contact",
    "Died",
    "Kept",
    "Owner",
    "Retries",
    "job",
    "keep",
    "owner",
    "step",
    "through_outages",
    "wait_before",
]
