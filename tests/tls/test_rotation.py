"""Certificates that are replaced while a server runs: grpc.aio shows new connections the new ones, and no call fails."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import Pki, issued
from support.waiting import eventually

from localservers.health import channel_to
from localservers.processes import ChildProcess
from waystation_core.rpc import certificates
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.server import RpcServer
from waystation_tls import ClientCredentials, News, ServerCredentials, ServerTls

NAMES = ("old.test", "new.test")


@contextlib.asynccontextmanager
async def serving(tls: ServerTls) -> AsyncIterator[RpcServer]:
    server = RpcServer([], host="127.0.0.1", port=0, tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


async def ask(server: RpcServer, client: ClientCredentials, name: str = "") -> None:
    """A call over a connection of its own. Raises AioRpcError."""
    async with open_channel(
        server.address, tls=client, name=name, use_local_subchannel_pool=1
    ) as channel:
        await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=False
        )


async def admitted(server: RpcServer, client: ClientCredentials, name: str = "") -> bool:
    return not await refused(server, client, name)


async def refused(server: RpcServer, client: ClientCredentials, name: str = "") -> bool:
    try:
        await ask(server, client, name)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


def trouble(server: RpcServer) -> str:
    assert server.credentials is not None
    return server.credentials.trouble


@pytest.fixture
def pki(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pki:
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.01)
    return Pki(tmp_path)


async def test_new_connections_see_a_new_certificate_and_no_call_fails(pki: Pki) -> None:
    old, new = (issued("ours", name) for name in NAMES)
    client = ClientCredentials(pki.client())
    answered = 0
    replaced = asyncio.Event()

    async with serving(pki.server(old)) as server:

        async def load() -> None:
            """Calls over a kept connection and over new ones, which believe either certificate's authority."""
            nonlocal answered
            async with open_channel(server.address, tls=client, name=NAMES[0]) as kept:
                stub = health_pb2_grpc.HealthStub(kept)
                while not replaced.is_set():
                    await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                    answered += 1
                # A connection outlives the certificate that it began with.
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)

        loads = [asyncio.create_task(load()) for _ in range(4)]

        async def loaded() -> bool:
            return answered > 20

        await eventually(loaded)
        await ask(server, client, NAMES[0])
        pki.pair("server", new)
        await eventually(lambda: admitted(server, client, NAMES[1]))
        assert await refused(server, client, NAMES[0])
        replaced.set()
        await asyncio.gather(*loads)


async def test_files_that_cannot_be_used_leave_the_old_ones_in_use(
    pki: Pki, capfd: pytest.CaptureFixture[str]
) -> None:
    client = ClientCredentials(pki.client())
    async with serving(pki.server()) as server:
        cert, _ = pki.pair("server", issued("ours", "other.test"))
        cert.write_text("half a file")
        logged = ""

        async def said() -> bool:
            nonlocal logged
            logged += "".join(capfd.readouterr())
            return "certificates_not_usable" in logged

        await eventually(said)
        assert f"WAYSTATION_TLS_CERT={cert} holds no PEM certificate" in trouble(server)
        await ask(server, client)
        pki.pair("server", issued("ours", "127.0.0.1"))

        async def recovered() -> bool:
            return not trouble(server)

        await eventually(recovered)
        await ask(server, client)


async def test_authorities_of_callers_are_replaced_like_certificates(pki: Pki) -> None:
    def folder(name: str) -> Pki:
        (pki.folder / name).mkdir()
        return Pki(pki.folder / name)

    callers = folder("callers")
    ours = ClientCredentials(folder("ours").client(made=issued("ours", "a client")))
    theirs = ClientCredentials(folder("theirs").client(made=issued("theirs", "a client")))
    nobody = ClientCredentials(folder("nobody").client())
    async with serving(pki.server(client_ca=callers.ca())) as server:
        await ask(server, ours)
        assert await refused(server, theirs)
        assert await refused(server, nobody)
        # Both, while the callers get new certificates; then only the new authority.
        callers.ca("ours", "theirs")
        await eventually(lambda: admitted(server, theirs))
        await ask(server, ours)
        callers.ca("theirs")
        await eventually(lambda: refused(server, ours))
        await ask(server, theirs)


def test_grpc_is_given_each_certificate_once(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """It replaces its own by whatever it is given, at a moment at which other threads use it."""
    asked = []
    monkeypatch.setattr(
        grpc, "dynamic_ssl_server_credentials", lambda first, fetch, requires: asked.append(fetch)
    )
    old, new = (issued("ours", name) for name in NAMES)
    credentials = ServerCredentials(pki.server(old))
    credentials.of_grpc()
    [fetch] = asked
    assert [fetch(), fetch()] == [None, None]
    pki.pair("server", new)
    assert credentials.look() is News.CHANGED
    assert [fetch() is not None, fetch()] == [True, None]


SERVE = """
import asyncio, sys
from pathlib import Path
from waystation_core.rpc.server import RpcServer
from waystation_tls import ServerTls

async def serve(cert, key):
    server = RpcServer([], host="127.0.0.1", port=0, tls=ServerTls(Path(cert), Path(key)))
    print("listening on", await server.start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(serve(*sys.argv[1:]))
"""


async def test_connections_that_come_and_go_do_not_end_the_process(
    pki: Pki, tmp_path: Path
) -> None:
    files = [str(path) for path in pki.pair("server")]
    authorities = pki.ca().read_bytes()
    with ChildProcess(
        [sys.executable, "-c", SERVE, *files], name="server", log=tmp_path / "server.log"
    ) as server:
        found = await asyncio.to_thread(server.wait_for_output, r"listening on (\d+)")
        address = f"127.0.0.1:{found[1]}"
        for _ in range(3):
            opened = [await asyncio.open_connection("127.0.0.1", int(found[1])) for _ in range(100)]
            for _, writer in opened:
                writer.close()
            assert await asyncio.to_thread(speaks, address, authorities)
        assert server.running


def speaks(address: str, authorities: bytes) -> bool:
    """Whether the server answers at all."""
    with channel_to(address, authorities) as channel:
        health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=10, wait_for_ready=True
        )
    return True
