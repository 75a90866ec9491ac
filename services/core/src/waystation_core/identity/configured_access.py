"""The ways of proving who is calling that the settings of a server name."""

from __future__ import annotations

from collections.abc import Callable

from waystation_core.identity.access import Access, Denial
from waystation_core.identity.api_tokens import ApiTokens
from waystation_core.identity.authenticator import Authenticator
from waystation_core.identity.keys_file import KeysFile
from waystation_core.ports.store import TokenStore
from waystation_core.rpc.settings import Settings


def access_of(
    settings: Settings,
    tokens: TokenStore,
    on_denied: Callable[[Denial], None] = lambda denial: None,
) -> Access | None:
    """What decides about every call; None: the server asks for no credential. `on_denied` is told of every call
    that is refused. Raises BadKeys."""
    if not settings.asks_for_credentials:
        return None
    # A server that asks for credentials takes API tokens, too: whoever may make them has proved it in
    # another way.
    ways: list[Authenticator] = [ApiTokens(tokens)]
    if settings.keys_file is not None:
        ways.append(KeysFile(settings.keys_file))
    if settings.jwt.on:
        # Only here: cryptography takes a while to import.
        from waystation_core.identity.jwt_tokens import JwtTokens

        ways.append(JwtTokens(settings.jwt))
    return Access(ways, on_denied=on_denied)
