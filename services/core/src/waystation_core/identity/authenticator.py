"""The port for ways to prove who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from waystation_core.identity.principal import Principal


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller whose credential is valid."""

    principal: Principal
    seconds: float | None = None
    """How long the credential stays valid from now; None: until it is withdrawn."""


class Authenticator(Protocol):
    """One way to prove who is calling."""

    def recognises(self, credential: str) -> bool:
        """Whether the credential has the form of this way."""
        ...

    async def identify(self, credential: str) -> Identified | str:
        """Who it is; or why the credential is refused, for the log: the caller is not told. Raises
        StoreUnavailable if that cannot be known now."""
        ...
