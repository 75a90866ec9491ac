"""What a fault acts on."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chaos.announced import BrokerWitness
from chaos.folder import Lines, RunFolder
from chaos.system import System

Params = dict[str, Any]
Hold = Callable[[], Awaitable[None]]
"""Returns when the fault has lasted as long as the schedule says."""


@dataclass(frozen=True, slots=True)
class World:
    """The system, and what stands beside it."""

    system: System
    witness: BrokerWitness
    folder: RunFolder
    control: Lines
    """The orders for the load process."""


@dataclass(frozen=True, slots=True)
class Bite:
    """Whether a fault was seen to do something, and by what."""

    bit: bool
    evidence: dict[str, Any]


Act = Callable[[World, Params, Hold], Awaitable[Bite]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    `rows` are those of the fault matrix. `plan` chooses the parameters; `touches` says what it
    acts on: two faults at once never touch the same. It lasts between `least` and `most` seconds.
    """

    name: str
    rows: str
    act: Act
    plan: Callable[[random.Random], Params]
    touches: Callable[[Params], set[str]]
    least: float
    most: float
    weight: int = 1
    """How many of this kind there are for one of another kind."""
