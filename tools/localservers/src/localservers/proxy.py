"""A TCP proxy for one link between two processes, whose behaviour can be changed while it runs."""

import asyncio
import random
from types import TracebackType
from typing import Self

from localservers.behaviours import Behaviour, DropReplies, Freeze, Pass, Refuse, Reset
from localservers.ports import free_port
from localservers.proxy_connection import Connection, Counts, Link
from localservers.proxy_socket import End

_HOST = "127.0.0.1"


class TcpProxy:
    """One link: listens at `port` on loopback and passes on to the target as the behaviour says.

    An async context manager; lives in the event loop that started it. It keeps the port for its
    whole life, through every behaviour.
    """

    def __init__(
        self,
        target_port: int,
        *,
        target_host: str = "127.0.0.1",
        port: int | None = None,
        seed: int | str = 0,
        name: str = "",
    ) -> None:
        """`seed` decides which replies get lost; `name` is for whoever reads a report."""
        self.name = name
        self.target_host = target_host
        self.target_port = target_port
        """May be changed: new connections go to the new one."""
        self.port = port or free_port()
        self._link = Link(Pass(), random.Random(seed))
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def address(self) -> str:
        """`host:port` to connect to."""
        return f"{_HOST}:{self.port}"

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves now."""
        return self._link.behaviour

    @property
    def counts(self) -> Counts:
        """What it has seen and done, from its start until now; goes on counting."""
        return self._link.counts

    @property
    def open_connections(self) -> int:
        """Connections of clients that are open now."""
        return len(self._connections)

    async def behave(self, behaviour: Behaviour) -> None:
        """Behaves so from now on, towards open connections as well as new ones.

        Returns once that holds: after `Refuse` nothing listens, after anything else something does.
        """
        self._link.behaviour = behaviour
        self._link.drops_left = behaviour.count if isinstance(behaviour, DropReplies) else None
        if isinstance(behaviour, Refuse):
            self._stop_listening()
        if isinstance(behaviour, Reset) or (
            isinstance(behaviour, Refuse) and not behaviour.keep_open
        ):
            self.reset_connections()
        for connection in list(self._connections):
            connection.behaviour_changed()
        if not isinstance(behaviour, Refuse):
            await self._listen()

    def reset_connections(self) -> int:
        """Resets every open connection, both ends, once; how many these were."""
        broken = list(self._connections)
        for connection in broken:
            connection.reset()
        return len(broken)

    async def close(self) -> None:
        """Stops listening and resets what is open."""
        self._stop_listening()
        self.reset_connections()
        # The sockets are closed by callbacks of the loop.
        await asyncio.sleep(0)

    async def _listen(self) -> None:
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: End(self._accepted), _HOST, self.port, backlog=512
        )

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accepted(self, client: End) -> None:
        self.counts.accepted += 1
        connection = Connection(
            self._link, client, (self.target_host, self.target_port), self._connections.discard
        )
        if isinstance(self.behaviour, Reset | Refuse):
            connection.reset()
            return
        if isinstance(self.behaviour, Freeze):
            self.counts.silent_connections += 1
        self._connections.add(connection)
        connection.begin()
