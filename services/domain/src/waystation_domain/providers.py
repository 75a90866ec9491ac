"""What decisions need of the world and must not fetch themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from waystation_domain.model import Json


@dataclass(frozen=True, slots=True)
class Providers:
    """Ids, chance and the size of JSON, as whoever decides has them."""

    make_id: Callable[[], str]
    """A new id, no two the same. Where they are kept in order of their making, later ones should sort
    after earlier ones."""
    chance: Callable[[], float]
    """A number from 0 up to 1, each as likely; always 0.5 makes every wait the middle one."""
    size_of: Callable[[Json], int]
    """Bytes that a value takes as compact JSON in UTF-8."""
