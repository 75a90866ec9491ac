"""One connection through a proxy: a client's socket, the target's, and what happens between them."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from localservers.behaviours import Behaviour, CutAfter, Delay, DropReplies, Freeze, Trickle
from localservers.proxy_direction import Direction
from localservers.proxy_socket import End


@dataclass(slots=True)
class Counts:
    """What a proxy has seen and done since it began; compare two copies to see whether a fault had an effect."""

    accepted: int = 0
    unreachable: int = 0
    """Connections that were reset because nothing listened at the target."""
    request_bytes: int = 0
    """Passed on towards the target."""
    reply_bytes: int = 0
    """Passed on towards the client."""
    resets: int = 0
    """Connections that the proxy broke, for whichever reason."""
    slowed_bytes: int = 0
    """Passed on late, by Delay, Trickle or a Freeze that holds."""
    swallowed_bytes: int = 0
    silent_connections: int = 0
    """Accepted during a Freeze."""
    dropped_replies: int = 0
    cuts: int = 0


@dataclass(slots=True)
class Link:
    """What all connections of one proxy share: how it behaves, and what it has counted."""

    behaviour: Behaviour
    chance: random.Random
    counts: Counts = field(default_factory=Counts)
    drops_left: int | None = None

    def drops_this_reply(self, request: bytes) -> bool:
        """Whether the answer to this request gets lost; counts it if so."""
        behaviour = self.behaviour
        if not isinstance(behaviour, DropReplies) or self.drops_left == 0:
            return False
        if behaviour.after is not None and behaviour.after not in request:
            return False
        if self.chance.random() >= behaviour.chance:
            return False
        if self.drops_left is not None:
            self.drops_left -= 1
        self.counts.dropped_replies += 1
        return True


class Connection:
    """A client's connection and the one to the target that belongs to it."""

    def __init__(
        self,
        link: Link,
        client: End,
        target: tuple[str, int],
        ended: Callable[["Connection"], None],
    ) -> None:
        """`ended` is told when it is over. Nothing moves before `begin`."""
        self._link = link
        self._target_address = target
        self._tell_ended = ended
        self._client = client
        self._target: End | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._ended = False
        self._lost_bytes = False
        self._passed = 0
        self._unanswered = bytearray()
        self._requests = Direction(client)
        self._replies: Direction | None = None
        client.received = self._request
        client.closed = self._client_closed

    def begin(self) -> None:
        """Connects to the target."""
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, target = await loop.create_connection(
                lambda: End(lambda end: None), *self._target_address
            )
        except OSError:
            self._link.counts.unreachable += 1
            self.reset()
            return
        if self._ended:
            target.abort()
            return
        self._target = target
        self._replies = Direction(target)
        self._replies.opens(self._client)
        self._requests.opens(target)
        target.received = self._reply
        target.closed = self._target_closed

    def reset(self) -> None:
        """Breaks both ends with RST."""
        if not self._ended:
            self._link.counts.resets += 1
            self._end(abruptly=True)

    def behaviour_changed(self) -> None:
        """The link behaves otherwise from now on."""
        self._passed = 0
        self._unanswered.clear()
        if self._lost_bytes:
            self.reset()
        for direction in (self._requests, self._replies):
            if direction is not None:
                direction.release()

    def _request(self, data: bytes) -> None:
        behaviour = self._link.behaviour
        if isinstance(behaviour, DropReplies):
            self._unanswered += data
        if isinstance(behaviour, Freeze) and behaviour.requests and not behaviour.hold:
            self._swallow(data)
        elif self._within_cut(data):
            self._link.counts.request_bytes += len(data)
            held = isinstance(behaviour, Freeze) and behaviour.requests
            self._pass_on(self._requests, data, held=held)

    def _reply(self, data: bytes) -> None:
        assert self._replies is not None
        behaviour = self._link.behaviour
        if isinstance(behaviour, DropReplies) and self._unanswered:
            request = bytes(self._unanswered)
            self._unanswered.clear()
            if self._link.drops_this_reply(request):
                self.reset()
                return
        if isinstance(behaviour, Freeze) and behaviour.replies and not behaviour.hold:
            self._swallow(data)
        elif self._within_cut(data):
            self._link.counts.reply_bytes += len(data)
            held = isinstance(behaviour, Freeze) and behaviour.replies
            self._pass_on(self._replies, data, held=held)

    def _pass_on(self, direction: Direction, data: bytes, *, held: bool) -> None:
        behaviour = self._link.behaviour
        if isinstance(behaviour, Delay):
            self._link.counts.slowed_bytes += len(data)
            direction.later(data, behaviour.seconds)
        elif isinstance(behaviour, Trickle):
            self._link.counts.slowed_bytes += len(data)
            direction.trickle(data, behaviour.bytes_per_second)
        elif held:
            self._link.counts.slowed_bytes += len(data)
            direction.hold(data)
        else:
            direction.now(data)

    def _swallow(self, data: bytes) -> None:
        self._link.counts.swallowed_bytes += len(data)
        self._lost_bytes = True

    def _within_cut(self, data: bytes) -> bool:
        """Whether this piece still passes; resets the connection when it doesn't."""
        behaviour = self._link.behaviour
        if not isinstance(behaviour, CutAfter):
            return True
        self._passed += len(data)
        if self._passed <= behaviour.size:
            return True
        self._link.counts.cuts += 1
        self.reset()
        return False

    def _client_closed(self, error: Exception | None) -> None:
        self._closed(self._requests, error)

    def _target_closed(self, error: Exception | None) -> None:
        assert self._replies is not None
        self._closed(self._replies, error)

    def _closed(self, direction: Direction, error: Exception | None) -> None:
        if self._ended:
            return
        behaviour = self._link.behaviour
        if isinstance(behaviour, Freeze):
            # The close is passed on when the freeze ends, after what was held.
            self._lost_bytes = not behaviour.hold
            direction.hold(b"")
            direction.finish(lambda: self._end(abruptly=False))
        elif error is not None:
            self._end(abruptly=True)
        else:
            direction.finish(lambda: self._end(abruptly=False))

    def _end(self, *, abruptly: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
        for end in (self._client, self._target):
            if end is not None:
                end.abort() if abruptly else end.close()
        for direction in (self._requests, self._replies):
            if direction is not None:
                direction.drop()
        self._tell_ended(self)
