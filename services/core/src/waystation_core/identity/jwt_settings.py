"""What a server knows of the issuer whose JWTs it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

KINDS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""Algorithms by the kind of key that they need. Only asymmetric ones: whoever checks a signature must not be able to
make one."""

ALGORITHMS = tuple(name for names in KINDS.values() for name in names)
DEFAULT_ALGORITHMS = "RS256,PS256,ES256,EdDSA"
DEFAULT_ROLES_CLAIM = "permissions"
DEFAULT_SERVICES_CLAIM = "service_names"


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """The settings `WAYSTATION_JWT_*`."""

    issuer: str = ""
    audience: str = ""
    jwks_url: str = ""
    jwks_file: Path | None = None
    algorithms: tuple[str, ...] = tuple(DEFAULT_ALGORITHMS.split(","))
    roles_claim: str = DEFAULT_ROLES_CLAIM
    services_claim: str = DEFAULT_SERVICES_CLAIM

    @property
    def on(self) -> bool:
        """Whether any of them is meant."""
        return bool(self.issuer or self.audience or self.jwks_url or self.jwks_file)

    def faults(self) -> Iterator[tuple[str, str]]:
        """The names of fields, and what is wrong with them: all at once."""
        if not self.on:
            return
        for name in ("issuer", "audience"):
            if not getattr(self, name):
                yield (
                    f"jwt_{name}",
                    f"WAYSTATION_JWT_{name.upper()} is missing: without it a token that was made for something "
                    "else would be taken.",
                )
        if bool(self.jwks_url) == bool(self.jwks_file):
            yield (
                "jwt_jwks_url",
                "WAYSTATION_JWT_JWKS_URL or WAYSTATION_JWT_JWKS_FILE is needed, and only one of them: where the "
                "issuer's keys are.",
            )
        if self.jwks_url and not _is_safe(self.jwks_url):
            yield (
                "jwt_jwks_url",
                "WAYSTATION_JWT_JWKS_URL must begin with https://, except for a server on loopback: who can "
                "change the keys on their way can call everything.",
            )
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            yield (
                "jwt_algorithms",
                f"WAYSTATION_JWT_ALGORITHMS has {', '.join(unknown) or 'nothing'}; it may have "
                f"{', '.join(ALGORITHMS)}.",
            )


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and host in ("127.0.0.1", "localhost", "::1")
