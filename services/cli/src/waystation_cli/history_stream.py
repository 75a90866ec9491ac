"""A workflow's history as it comes, taken up again when the connection or the server goes away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc

from waystation.v1.workflow_service_pb2 import WatchWorkflowRequest, WatchWorkflowResponse
from waystation_cli.connection import Api

PATIENCE_SECONDS = 60.0
"""How long a server may stay away after the last message that it sent."""

# Streams are begun again now and then: one that has fallen silent for good would never say so.
_LEG_SECONDS = 600.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0
_AGAIN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


def follow(
    api: Api,
    workflow_instance_id: str,
    first: int,
    on_interrupted: Callable[[int], None],
) -> Iterator[WatchWorkflowResponse]:
    """Gives entries of history, each once and in order from sequence `first` on (0: all), and the
    heartbeats between them; ends with the workflow.

    Calls `on_interrupted` with the next sequence number when a stream broke that had begun. Raises
    grpc.RpcError.
    """
    following = first
    heard_at: float | None = None
    pause = _FIRST_PAUSE
    while True:
        call = api.workflows.WatchWorkflow(
            WatchWorkflowRequest(
                workflow_instance_id=workflow_instance_id, from_sequence=following
            ),
            timeout=_LEG_SECONDS,
        )
        fresh = True
        try:
            for response in call:
                heard_at, fresh, pause = time.monotonic(), False, _FIRST_PAUSE
                if response.HasField("history_entry"):
                    following = response.history_entry.sequence + 1
                yield response
            return
        except grpc.RpcError as error:
            # Before the first message a wrong address is likelier than a server that restarts.
            away = heard_at is None or time.monotonic() - heard_at > PATIENCE_SECONDS
            ended_leg = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if error.code() not in _AGAIN or (away and not (ended_leg and heard_at)):
                raise
            if not fresh and not ended_leg:
                on_interrupted(following)
        finally:
            call.cancel()
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
