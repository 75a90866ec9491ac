"""When an open instance is idle, and why: the last event, and how that event ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


def is_idle(*, active: bool, unsettled: int, dead_letters: int, timers: int) -> bool:
    """Whether nothing will continue an instance with so many unsettled events, open dead letters and timers.
    The commit that makes it idle marks it (`Instance.idle`); everything else reads that mark."""
    return active and not (unsettled or dead_letters or timers)


class Ending(StrEnum):
    """How an event ended."""

    HANDLED = "handled"
    """Tasks handled it and raised nothing more."""
    UNHANDLED = "unhandled"
    """No task handles its type."""
    SKIPPED = "skipped"
    RETIRED = "retired"
    """The task is retired."""
    DISCARDED = "discarded"
    """Its dead letter was discarded."""
    NEWS_OF_DISCARD = "news_of_discard"
    """It reports a discarded dead letter and no task handles it: the discard is why the instance is idle."""


@dataclass(frozen=True, slots=True)
class Idle:
    """The last event of an open instance that has nothing to do."""

    event_id: str
    event_type: str
    raised_by: str
    ending: Ending
    task_ids: tuple[str, ...] = ()
    """The tasks that `ending` is about; for NEWS_OF_DISCARD the task of the discarded dead letter."""
    lost_event_type: str = ""
    """For NEWS_OF_DISCARD: the type of the event whose dead letter was discarded."""

    @property
    def message(self) -> str:
        """The reason as a sentence, for people."""
        return f"`{self.event_type}` was raised by {self.raised_by}; {self._how()}"

    def _how(self) -> str:
        names = ", ".join(self.task_ids) or "its tasks"
        match self.ending:
            case Ending.HANDLED:
                return f"{names} handled it and raised no further event"
            case Ending.UNHANDLED:
                return "no task handles it"
            case Ending.SKIPPED:
                return "it was skipped"
            case Ending.RETIRED:
                return f"{names} is retired"
            case Ending.DISCARDED:
                return "its dead letter was discarded"
            case Ending.NEWS_OF_DISCARD:
                return f"the dead letter of {names} for `{self.lost_event_type}` is discarded"

    def to_json(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "raised_by": self.raised_by,
            "ending": self.ending,
            "task_ids": self.task_ids,
            "lost_event_type": self.lost_event_type,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Idle:
        return cls(
            **{
                **stored,
                "ending": Ending(stored["ending"]),
                "task_ids": tuple(stored["task_ids"]),
            }
        )
