"""Outcomes in notices: the context of a workflow that has ended, sealed by who committed the end.

A server that hears of it need not read the instance to answer those who wait. It can be believed because it is
sealed with a key that only the servers of an installation have, derived from the one of the completion tokens:
whoever may publish to the broker cannot forge one.
"""

from __future__ import annotations

import hashlib

from waystation.v1 import workflow_pb2
from waystation_conversion import context_to_proto
from waystation_conversion.sizes import json_size
from waystation_domain.commit import InstanceCommit
from waystation_domain.seal import Seal

MOST_BYTES = 8 * 1024
"""Of one context. Each API server hears of each end, and few of them have somebody who waits for it."""
_PURPOSE = b"outcome in a notice"


class OutcomeSeal:
    """Seals contexts, and opens what was sealed, with the key of one installation (16 to 64 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._seal = Seal(hashlib.blake2b(_PURPOSE, key=key, digest_size=32).digest())

    def sealed(self, commit: InstanceCommit) -> bytes:
        """The context after a commit that ended its instance; empty if the instance goes on, had ended before,
        or is large, or if it is not known when the commit was written."""
        after = commit.after
        if after.status.is_open or not commit.before.status.is_open or commit.written_at is None:
            return b""
        if json_size(after.data) + json_size(after.output) > MOST_BYTES:
            # A message of it would be made to be dropped; of half a mebibyte that takes more than 10 ms.
            return b""
        body = context_to_proto(after).SerializeToString()
        return self._seal.sealed(body) if len(body) <= MOST_BYTES else b""

    def opened(self, outcome: bytes) -> workflow_pb2.WorkflowContext | None:
        """The context; None if it was not sealed with this key."""
        body = self._seal.opened(outcome)
        return None if body is None else workflow_pb2.WorkflowContext.FromString(body)
