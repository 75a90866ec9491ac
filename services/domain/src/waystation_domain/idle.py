"""When an open instance has nothing to do, and why: the event that left it so, and how that event ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


def is_idle(*, active: bool, unsettled: int, dead_letters: int, timers: int) -> bool:
    """Whether nothing will move an instance with so many unsettled events, open dead letters and timers: the rule of
    idleness. The commit that makes it so marks it (`Instance.idle`), and nothing else does; everybody else looks
    for that mark."""
    return active and not (unsettled or dead_letters or timers)


class Ending(StrEnum):
    """How an event ended."""

    HANDLED = "handled"
    """By the tasks that are named, which raised nothing more."""
    UNHANDLED = "unhandled"
    """No task handles its type."""
    SKIPPED = "skipped"
    RETIRED = "retired"
    """The task that is named is retired."""
    DISCARDED = "discarded"
    """Its dead letter was discarded."""
    NEWS_OF_DISCARD = "news_of_discard"
    """No task handles it, and it tells of a discarded dead letter: that is why the instance stands still."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Which event left an open instance with nothing to do."""

    event_id: str
    event_type: str
    raised_by: str
    ending: Ending
    task_ids: tuple[str, ...] = ()
    """Those that `ending` is about; of NEWS_OF_DISCARD the one whose dead letter was discarded."""
    lost_event_type: str = ""
    """NEWS_OF_DISCARD: of the event that the dead letter was about."""

    @property
    def message(self) -> str:
        """In words, for people."""
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
