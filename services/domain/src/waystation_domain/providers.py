"""What decisions need from outside and do not make themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from waystation_domain.model import Json


@dataclass(frozen=True, slots=True)
class Providers:
    """Makes ids and random numbers, and measures JSON."""

    make_id: Callable[[], str]
    """A new, unique id. If a store orders by id, later ones should sort after earlier ones."""
    chance: Callable[[], float]
    """A random number from 0 to 1, uniformly distributed; 0.5 gives every wait its middle value."""
    size_of: Callable[[Json], int]
    """Bytes of a value as compact JSON in UTF-8."""
