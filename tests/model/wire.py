"""A broker that does with each message what the test says: deliver, deliver twice, late, out of order,
or never."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from waystation_core.ports.broker import (
    Announcement,
    AnnounceOutcome,
    BrokerStatus,
    DeadLetterCopy,
    Notice,
    Received,
    Token,
)


@dataclass(slots=True)
class Message:
    announcement: Announcement
    redelivered: bool = False


class Wire:
    """What is on its way between all processes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ports: list[WireBroker] = []
        self.next_outcome: tuple[AnnounceOutcome, bool] | None = None
        """Of the next announcement: what its sender is told, and whether it arrives."""
        self.mute = False
        """Whether notices get lost."""

    def port(self) -> WireBroker:
        port = WireBroker(self)
        self.ports.append(port)
        return port

    def lose_all(self, *, told: bool) -> None:
        """Everything that waits is gone; consumers notice it, or do not."""
        self.messages.clear()
        for port in self.ports:
            if told:
                port.tell_loss()

    def cut(self, port: WireBroker) -> None:
        """A process died: what it held comes back, for others."""
        self.ports.remove(port)
        for announcement in port.held.values():
            self.messages.append(Message(announcement, redelivered=True))
        port.held.clear()


class WireBroker:
    """One process's side of it: the port `Broker`, and its one `Subscription`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = itertools.count(1)
        self._inbox: list[Received] = []
        self._wake = asyncio.Event()
        self._lost: list[Callable[[str], None]] = []
        self._listener: Callable[[Sequence[Notice]], None] | None = None
        self.held: dict[Token, Announcement] = {}

    # --- the machine's side ------------------------------------------------------------------

    def deliver(self, message: Message) -> None:
        token = (self, next(self._numbers))
        self.held[token] = message.announcement
        self._inbox.append(Received(message.announcement, message.redelivered, token))
        self._wake.set()

    def tell_loss(self) -> None:
        for callback in self._lost:
            callback("the test said so")

    def hear(self, notices: Sequence[Notice]) -> None:
        if self._listener is not None:
            self._listener(notices)

    # --- Broker ------------------------------------------------------------------------------

    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        await asyncio.sleep(0)
        outcomes = []
        for announcement in batch:
            outcome, arrives = self._wire.next_outcome or (AnnounceOutcome.CONFIRMED, True)
            self._wire.next_outcome = None
            if arrives:
                self._wire.messages.append(Message(announcement))
            outcomes.append(outcome)
        return outcomes

    def dead_letter(self, copies: Sequence[DeadLetterCopy]) -> None:
        pass

    def notify(self, batch: Sequence[Notice]) -> None:
        if not self._wire.mute:
            for port in self._wire.ports:
                asyncio.get_running_loop().call_soon(port.hear, tuple(batch))

    def subscribe_notices(
        self,
        callback: Callable[[Sequence[Notice]], None],
        on_reconnected: Callable[[], None] | None = None,
    ) -> None:
        self._listener = callback

    async def consume(self, **asked: Any) -> WireBroker:
        return self

    def on_messages_lost(self, callback: Callable[[str], None]) -> None:
        self._lost.append(callback)

    async def depth(self, pool: str = "default") -> int | None:
        return len(self._wire.messages)

    def status(self) -> BrokerStatus:
        return BrokerStatus(
            "the test", connected=True, consuming=True, blocked=False, last_error=None
        )

    async def wait_ready(self, seconds: float | None = None) -> bool:
        return True

    async def close(self) -> None:
        pass

    # --- Subscription ------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        return len(self._inbox)

    async def take(self, limit: int) -> list[Received]:
        while not self._inbox:
            self._wake.clear()
            await self._wake.wait()
        taken, self._inbox = self._inbox[:limit], self._inbox[limit:]
        return taken

    def ack(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            self.held.pop(token, None)

    def release(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            announcement = self.held.pop(token, None)
            if announcement is not None:
                self._wire.messages.append(Message(announcement, redelivered=True))

    async def stop(self) -> None:
        pass
