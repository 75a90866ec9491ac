"""Carries a schedule out: begins and heals each fault at its time, and notes whether it had an effect."""

import asyncio
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict

from chaos.faults.catalogue import CATALOGUE
from chaos.faults.world import Bite, World
from chaos.folder import Lines
from chaos.schedule import Entry

_LONGEST_SECONDS = 300.0


class Streams:
    """The faults of one run. `run` returns when the last one is healed."""

    def __init__(self, world: World, entries: Sequence[Entry]) -> None:
        self._world = world
        self._entries = entries
        self._noted = Lines(world.folder.faults)
        self._touched: set[str] = set()
        self._freed = asyncio.Condition()

    async def run(self) -> None:
        """From now on."""
        began = time.monotonic()
        streams = sorted({entry.stream for entry in self._entries})
        await asyncio.gather(*(self._stream(stream, began) for stream in streams))

    async def _stream(self, stream: int, began: float) -> None:
        for entry in self._entries:
            if entry.stream == stream:
                await asyncio.sleep(max(0.0, began + entry.at - time.monotonic()))
                await self._carry_out(entry)

    async def _carry_out(self, entry: Entry) -> None:
        kind = CATALOGUE[entry.kind]
        touches = kind.touches(entry.params)
        # The schedule keeps them apart; a fault that took longer than planned makes the next wait.
        async with self._freed:
            await self._freed.wait_for(lambda: not touches & self._touched)
            self._touched |= touches
        self._noted.write(event="injected", **{**asdict(entry), "at": time.time()})

        async def hold() -> None:
            await asyncio.sleep(entry.seconds)

        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                bite = await kind.act(self._world, entry.params, hold)
        except Exception:
            bite = Bite(False, {"raised": traceback.format_exc()[-2000:]})
        finally:
            async with self._freed:
                self._touched -= touches
                self._freed.notify_all()
        self._noted.write(
            event="healed",
            number=entry.number,
            kind=entry.kind,
            bit=bite.bit,
            evidence=bite.evidence,
        )
