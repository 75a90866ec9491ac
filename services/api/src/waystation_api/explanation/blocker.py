"""One thing that an instance waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from waystation_domain.model import JsonObject

# The kinds: BlockerKind of the contract without its prefix.
PENDING_EVENT = "PENDING_EVENT"
RETRYING = "RETRYING"
WAITING_FOR_INPUT = "WAITING_FOR_INPUT"
DEAD_LETTER = "DEAD_LETTER"
NO_LIVE_ENDPOINT = "NO_LIVE_ENDPOINT"
IDLE = "IDLE"
HELD = "HELD"
IN_CALL = "IN_CALL"
AT_CAPACITY = "AT_CAPACITY"
NO_ROUTER = "NO_ROUTER"
FAN_OUT = "FAN_OUT"
PENDING_COMPLETION = "PENDING_COMPLETION"
TIMER = "TIMER"


@dataclass(frozen=True, slots=True)
class Blocker:
    """What it waits for, since when, and what helps; `kind` is one of those above."""

    kind: str
    since: datetime | None
    message: str
    remedy: str
    event_id: str = ""
    event_type: str = ""
    task_id: str = ""
    service_name: str = ""
    wait_id: str = ""
    dead_letter_id: str = ""
    attempts: int = 0
    due_at: datetime | None = None
    last_error: JsonObject | None = None
    group_id: str = ""
    pool: str = ""
    endpoint: str = ""
