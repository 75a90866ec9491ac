"""How a link between two processes can behave: what `localservers.proxy` is told to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pass:
    """Everything goes through."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Every piece arrives so many seconds later, each way; order is kept."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """No more than so many bytes per second, each way and for each connection."""

    bytes_per_second: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """As if nothing listened: new connections are refused; open ones are reset, unless kept."""

    keep_open: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Open connections are reset (RST), and so is each new one as soon as it was accepted."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Connections stay open and silent, new ones too.

    What is sent meanwhile is swallowed, in the directions named. A connection that lost bytes is
    reset when the freeze ends: no protocol could go on. With `hold` the bytes are kept instead and
    arrive when the freeze ends, as through a network that was cut for a while.
    """

    requests: bool = True
    replies: bool = True
    hold: bool = False


@dataclass(frozen=True, slots=True)
class DropReplies:
    """A request is forwarded, then the connection is reset before the answer to it is passed on.

    `chance` is the share of answers that get lost, drawn from the proxy's seeded generator;
    `count` ends it after so many (None: never). `after` limits it to answers to requests that
    contain these bytes.
    """

    chance: float = 1.0
    count: int | None = None
    after: bytes | None = None


@dataclass(frozen=True, slots=True)
class CutAfter:
    """A connection is reset once so many bytes, both ways together, have passed; each anew."""

    size: int


Behaviour = Pass | Delay | Trickle | Refuse | Reset | Freeze | DropReplies | CutAfter
