"""TLS to Postgres, which libpq makes: what is wrong with it, if that is why there is no connection."""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from waystation_tls import BadTls, ClientTls, Problem, diagnose
from waystation_tls.clients import OF_DATABASE
from waystation_tls.protocols import POSTGRES

_USUAL_PORT = 5432
_USUAL_ROOT = "~/.postgresql/root.crt"


async def tls_faults(url: str) -> list[str]:
    """The faults, each with what to do. None for a url that does not insist on TLS."""
    given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    mode = given.get("sslmode", "")
    host = given.get("host", "").split(",")[0]
    if mode not in ("require", "verify-ca", "verify-full") or not host or host.startswith("/"):
        return []
    port = int(given.get("port", "").split(",")[0] or _USUAL_PORT)
    verifies = mode != "require"
    ca = _root(given.get("sslrootcert", _USUAL_ROOT)) if verifies else None
    try:
        material = ClientTls(on=True, ca=ca, words=OF_DATABASE).read()
    except BadTls as bad:
        return list(bad.faults)
    found = await diagnose(
        host, port, tls=material, protocol=POSTGRES, check_name=mode == "verify-full"
    )
    if found is None or (not verifies and found.problem is not Problem.NOT_SPOKEN):
        return []
    return [f"Postgres at {host}:{port} cannot be used ({found.reason}): {found.message}."]


def _root(named: str) -> Path | None:
    return None if named == "system" else Path(named).expanduser()
