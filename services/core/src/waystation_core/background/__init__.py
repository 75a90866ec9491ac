"""What a server needs to keep running: background tasks with an owner, paced retries, and whether writes
work.

May import `domain`. Knows no store, no broker and no gRPC.
"""

from waystation_core.background.contact import Contact
from waystation_core.background.owned import BackgroundLoop, Died, Owner, job, owner, run_loop, step
from waystation_core.background.retries import Retries, through_outages, wait_before
from waystation_core.background.turns import turns

__all__ = [
    "BackgroundLoop",
    "Contact",
    "Died",
    "Owner",
    "Retries",
    "job",
    "owner",
    "run_loop",
    "step",
    "through_outages",
    "turns",
    "wait_before",
]
