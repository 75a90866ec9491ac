"""One thing that an instance waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from waystation_domain.model import JsonObject


@dataclass(frozen=True, slots=True)
class Blocker:
    """What it waits for, since when, and what helps; `kind` is a BlockerKind without its prefix."""

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
