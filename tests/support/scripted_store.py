"""A store with scripted faults: any port object (`EngineStore`, `RegistryStore`, `QueryStore`), wrapped so
that a test decides which of its calls fail, how, and on which side of their effect.

    script = Script()
    store = script.wrap(PostgresEngineStore(pool))
    script.on("claim_deliveries", reply_lost(), calls=1)     # written, but the caller learns of an outage
    script.on("commit", unavailable(), calls=range(1, 4))    # three calls that do nothing
    script.on("load", broken(RuntimeError("a fault of ours")))
    gate = script.on("commit", held(after=True), calls=1)    # written, and the answer is on its way until...
    await gate.reached.wait(); gate.open()
    script.on("*", reply_lost(), chance=0.1, seed=7)         # every tenth, the same ones for a seed

Names are those of the port's methods. What happens under a lock has names of its own: `locked` is taking
it (a fault after it lets it go again), `locked.write`, `locked.timers` and so on are the block's methods,
and `locked.exit` is the end of the block (a fault before it rolls the block back, after it the block is
committed). Calls are counted by name, from 1.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from waystation_domain.errors import StoreUnavailable

S = TypeVar("S")
T = TypeVar("T")
Decide = Callable[[tuple[Any, ...], dict[str, Any]], bool]


@dataclass(eq=False)
class Fault:
    """What happens to a call: before or after its effect, it waits at a gate, then perhaps raises."""

    name: str
    after: bool
    raises: Callable[[], BaseException] | None = None
    gated: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a call is here."""
    _gate: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Lets the calls go on that wait here, and all later ones."""
        self._gate.set()

    def error(self) -> BaseException | None:
        """What it raises."""
        return None if self.raises is None else self.raises()

    async def bite(self) -> None:
        self.reached.set()
        if self.gated:
            await self._gate.wait()
        if self.raises is not None:
            raise self.raises()


def unavailable() -> Fault:
    """The statement never reaches the database."""
    return Fault("unavailable", after=False, raises=_outage)


def reply_lost() -> Fault:
    """Executed; the caller hears that the database cannot be reached."""
    return Fault("reply lost", after=True, raises=_outage)


def broken(error: BaseException, *, after: bool = False) -> Fault:
    """Any other exception, before or `after` the statement was executed."""
    return Fault(f"{type(error).__name__}", after=after, raises=lambda: error)


def held(*, after: bool = False, then: BaseException | None = None) -> Fault:
    """Waits until the test calls `open()`; without that it is frozen permanently."""
    raises = None if then is None else lambda: then
    return Fault("held", after=after, raises=raises, gated=True)


def _outage() -> StoreUnavailable:
    fault = StoreUnavailable("The database cannot be reached or is busy; try again in a moment.")
    fault.__cause__ = ConnectionError("scripted")
    return fault


@dataclass
class _Rule:
    name: str
    fault: Fault
    calls: frozenset[int] | None
    when: Decide | None
    chance: float
    random: random.Random

    def providers(
        self, name: str, number: int, given: tuple[Any, ...], named: dict[str, Any]
    ) -> bool:
        return (
            self.name in (name, "*")
            and (self.calls is None or number in self.calls)
            and (self.when is None or self.when(given, named))
            and (self.chance >= 1 or self.random.random() < self.chance)
        )


class Script:
    """Which calls fail. May be changed at any time; `heal` ends all faults."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """How often each method was called."""
        self.bites: list[tuple[str, int, str]] = []
        """Faults that a call ran into: method, its number, the fault's name."""
        self._rules: list[_Rule] = []

    def on(
        self,
        name: str,
        fault: Fault,
        *,
        calls: int | Iterable[int] | None = None,
        when: Decide | None = None,
        chance: float = 1.0,
        seed: int = 0,
    ) -> Fault:
        """Has calls of this method ("*": of all) run into a fault: the ones of these numbers, all for which
        `when(arguments, named)` says so, or so many of them by chance. The first rule that fits holds."""
        numbers = frozenset((calls,) if isinstance(calls, int) else calls) if calls else None
        self._rules.append(_Rule(name, fault, numbers, when, chance, random.Random(seed)))
        return fault

    def next(self, name: str, fault: Fault) -> Fault:
        """Has the next call of this method run into a fault."""
        return self.on(name, fault, calls=self.calls[name] + 1)

    def heal(self) -> None:
        """Ends all faults, and lets go what is held."""
        for rule in self._rules:
            rule.fault.open()
        self._rules = []

    def wrap(self, store: S) -> S:
        """The store as its callers see it, with these faults."""
        return cast(S, _Scripted(store, self, prefix=""))

    async def call(
        self,
        name: str,
        given: tuple[Any, ...],
        named: dict[str, Any],
        effect: Callable[[], Awaitable[T]],
    ) -> T:
        """One call of a wrapped object."""
        self.calls[name] += 1
        number = self.calls[name]
        fault = next(
            (rule.fault for rule in self._rules if rule.providers(name, number, given, named)), None
        )
        if fault is None:
            return await effect()
        self.bites.append((name, number, fault.name))
        if not fault.after:
            await fault.bite()
        answer = await effect()
        if fault.after:
            await fault.bite()
        return answer


class _Scripted:
    """A port object whose coroutine methods, and blocks, go through a script."""

    def __init__(self, target: Any, script: Script, prefix: str) -> None:
        self._target = target
        self._script = script
        self._prefix = prefix

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._target, attribute)
        if attribute.startswith("_") or not callable(found):
            return found
        name = self._prefix + attribute
        if inspect.iscoroutinefunction(found):

            async def method(*given: Any, **named: Any) -> Any:
                return await self._script.call(name, given, named, lambda: found(*given, **named))

            return method

        def block_or_value(*given: Any, **named: Any) -> Any:
            made = found(*given, **named)
            if isinstance(made, AbstractAsyncContextManager):
                return self._block(name, given, named, made)
            return made

        return block_or_value

    @asynccontextmanager
    async def _block(
        self,
        name: str,
        given: tuple[Any, ...],
        named: dict[str, Any],
        block: AbstractAsyncContextManager[Any],
    ) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            inside = await self._script.call(
                name, given, named, lambda: stack.enter_async_context(block)
            )
            yield _Scripted(inside, self._script, prefix=f"{name}.")
            await self._script.call(f"{name}.exit", given, named, stack.aclose)
