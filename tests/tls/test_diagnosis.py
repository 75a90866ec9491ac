"""Why a connection of gRPC fails: each cause has a type, and says what to do. The servers are gRPC's."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import Ended, Pki, issued

from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.server import PLAIN_TEXT, RpcServer
from waystation_tls import ClientCredentials, ClientTls, Problem, ServerTls, diagnose
from waystation_tls.clients import OF_ROUTERS


@contextlib.asynccontextmanager
async def serving(tls: ServerTls) -> AsyncIterator[RpcServer]:
    server = RpcServer([], host="127.0.0.1", port=0, tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


async def _answers(server: RpcServer, tls: ClientCredentials | None, name: str) -> bool:
    channel = open_channel(server.address, tls=tls, name=name, use_local_subchannel_pool=1)
    async with channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=10
            )
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNAVAILABLE
    return True


PLAIN = ClientTls()
CASES: dict[
    str,
    tuple[Callable[[Pki], ServerTls], Callable[[Pki], ClientTls], str, Problem | None, str],
] = {
    "all is well": (lambda p: p.server(), lambda p: p.client(), "", None, ""),
    "plain text": (lambda p: PLAIN_TEXT, lambda p: PLAIN, "", None, ""),
    "both show certificates": (
        lambda p: p.server(client_ca=p.ca()),
        lambda p: p.client(made=issued("ours", "me", usages=("client",))),
        "",
        None,
        "",
    ),
    "the server has no TLS": (
        lambda p: PLAIN_TEXT,
        lambda p: p.client(),
        "",
        Problem.NOT_SPOKEN,
        "the server does not speak TLS: give it a certificate",
    ),
    "the client has no TLS": (
        lambda p: p.server(),
        lambda p: PLAIN,
        "",
        Problem.REQUIRED,
        "set WAYSTATION_TLS_CA to the certificate of its authority, or WAYSTATION_TLS=true",
    ),
    "neither TLS nor certificate": (
        lambda p: p.server(client_ca=p.ca()),
        lambda p: PLAIN,
        "",
        Problem.REQUIRED,
        "this side does not",
    ),
    "another authority": (
        lambda p: p.server(issued("theirs")),
        lambda p: p.client("ours"),
        "",
        Problem.AUTHORITY_UNKNOWN,
        "(CN=theirs) that is not trusted here: set WAYSTATION_TLS_CA",
    ),
    "another name": (
        lambda p: p.server(issued("ours", "a.test", "b.test")),
        lambda p: p.client(),
        "handler.test",
        Problem.NAME_MISMATCH,
        "is for a.test, b.test and not for handler.test",
    ),
    "another address": (
        lambda p: p.server(issued("ours", "a.test")),
        lambda p: p.client(),
        "",
        Problem.NAME_MISMATCH,
        "is for a.test and not for 127.0.0.1",
    ),
    "the caller shows nothing": (
        lambda p: p.server(client_ca=p.ca()),
        lambda p: p.client(),
        "",
        Problem.CLIENT_CERTIFICATE_REQUIRED,
        "set WAYSTATION_TLS_CERT and WAYSTATION_TLS_KEY",
    ),
    "the caller is not known": (
        lambda p: p.server(client_ca=p.ca()),
        lambda p: p.client(made=issued("theirs", "me")),
        "",
        Problem.CLIENT_CERTIFICATE_REFUSED,
        "WAYSTATION_TLS_CLIENT_CA",
    ),
    "a certificate for servers only": (
        lambda p: p.server(client_ca=p.ca()),
        lambda p: p.client(made=issued("ours", "me", usages=("server",))),
        "",
        Problem.CLIENT_CERTIFICATE_REFUSED,
        "that may identify a client",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_each_cause_has_a_type_and_a_remedy(case: str, pki: Pki) -> None:
    server_tls, client_tls, name, problem, said = CASES[case]
    async with serving(server_tls(pki)) as server:
        credentials = ClientCredentials.if_on(client_tls(pki))
        answers = await _answers(server, credentials, name)
        found = await diagnose(
            "127.0.0.1",
            server.port,
            tls=None if credentials is None else credentials.material,
            name=name,
        )
    # The second opinion is gRPC's.
    assert answers is (problem is None)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert (found.problem, said in found.message) == (problem, True), found.message


async def test_an_expired_certificate_is_told_with_its_day(pki: Pki) -> None:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health_pb2_grpc.HealthServicer(), server)
    port = server.add_secure_port("127.0.0.1:0", Ended("127.0.0.1").of_grpc())
    await server.start()
    credentials = ClientCredentials(pki.client())
    found = await diagnose("127.0.0.1", port, tls=credentials.material)
    await server.stop(0)
    assert found is not None
    assert found.problem is Problem.EXPIRED
    assert found.message.startswith("a certificate of the server ended on 2")


async def test_a_router_gets_the_names_of_its_own_settings(pki: Pki) -> None:
    async with serving(pki.server()) as server:
        found = await diagnose("127.0.0.1", server.port, tls=None, words=OF_ROUTERS)
    assert found is not None
    assert "set WAYSTATION_HANDLER_TLS_CA to" in found.message
    assert "WAYSTATION_HANDLER_TLS=required" in found.message


@pytest.mark.parametrize("on", [True, False])
async def test_who_does_not_answer_is_no_matter_of_tls(on: bool, pki: Pki) -> None:
    tls = ClientCredentials(pki.client()).material if on else None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert await diagnose("127.0.0.1", port, tls=tls, seconds=0.05) is None
    assert await diagnose("127.0.0.1", port, tls=tls) is None
