"""Postgres over TLS: `sslmode=verify-full` is obeyed, and what is wrong is said at the start."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from conftest import POSTGRES_VERSIONS
from support.certificates import Pki, issued
from support.tls_front import tls_front

from localservers.postgres import PostgresServer, system_binaries
from waystation_core.store.fitness import database_faults, require_fit

HOST = "localhost"


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def speaks_tls(server: PostgresServer) -> None:
    """Gives it a certificate while it runs."""
    data = server.folder / "data"
    owner = data.stat()
    certificate, key = issued("ours", HOST).write(data, "server")
    for path in (certificate, key):
        os.chown(path, owner.st_uid, owner.st_gid)
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl_cert_file = 'server.pem'")
        connection.execute("ALTER SYSTEM SET ssl_key_file = 'server-key.pem'")
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")


# The programs of the wheel are built without TLS: it stands in front of them.
@pytest.fixture(params=["in front", *(["ssl = on"] if "system-15" in POSTGRES_VERSIONS else [])])
async def port(
    request: pytest.FixtureRequest, postgres: PostgresServer, pki: Pki
) -> AsyncIterator[int]:
    """Where a Postgres speaks TLS, with a certificate for localhost."""
    if request.param == "in front":
        certificate, key = pki.pair("front", issued("ours", HOST))
        async with tls_front(postgres.port, certificate, key) as port:
            yield port
    else:
        with PostgresServer(system_binaries()) as server:
            speaks_tls(server)
            yield server.port


def url(port: int, mode: str, root: Path | None = None, *, host: str = HOST) -> str:
    text = f"postgresql://postgres@{host}:{port}/postgres?sslmode={mode}"
    return text if root is None else f"{text}&sslrootcert={root}"


async def faults(address: str) -> list[str]:
    return await database_faults(address, connections=8, lasting=False)


async def test_postgres_over_tls(
    port: int, pki: Pki, postgres: PostgresServer, tmp_path: Path
) -> None:
    right = url(port, "verify-full", pki.ca("ours"))
    assert await faults(right) == []
    await require_fit(right)
    (tmp_path / "others").mkdir()
    others = Pki(tmp_path / "others").ca("theirs")
    (fault,) = await faults(url(port, "verify-full", others))
    assert f"Postgres at localhost:{port} cannot be used (TLS_AUTHORITY_UNKNOWN)" in fault
    assert "set sslrootcert in WAYSTATION_DATABASE_URL to the certificate" in fault
    by_address = url(port, "verify-full", pki.ca("ours"), host="127.0.0.1")
    (fault,) = await faults(by_address)
    assert (
        "(TLS_NAME_MISMATCH): the server's certificate is for localhost and not for 127.0.0.1"
        in fault
    )
    assert await faults(by_address.replace("verify-full", "verify-ca")) == []
    assert await faults(url(port, "require")) == []
    (fault,) = await faults(url(port, "verify-full", tmp_path / "missing.pem"))
    assert "missing.pem cannot be read" in fault
    for mode in ("verify-full", "require"):
        (fault,) = await faults(url(postgres.port, mode, pki.ca("ours")))
        assert "(TLS_NOT_SPOKEN)" in fault
        assert "set ssl = on there" in fault
