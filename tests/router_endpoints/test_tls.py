"""Handlers that are called over TLS: by the name that they registered with, at a literal address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from router_endpoints.handlers import Handler, registration, request, serving, task
from support.certificates import Ended, Pki, issued
from support.waiting import eventually

from waystation_core.rpc.attempts import Answered, NotSent
from waystation_core.rpc.handler_calls import HandlerCalls
from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_router.endpoints import EndpointDirectory
from waystation_tls import ClientCredentials, ClientTls, ServerCredentials
from waystation_tls.clients import OF_ROUTERS

ECHO = task("echo", batching=True)
ONE_BY_ONE = task("echo", batching=False)
WAIT = task("wait", batching=True)
ANYWHERE = Allowlist.parse(DEFAULT_ALLOWLIST)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def router_tls(pki: Pki, *believed: str) -> ClientCredentials:
    """What a router uses that shows a certificate to those that ask for one."""
    cert, key = pki.pair("router", issued("ours", "router"))
    files = ClientTls(on=True, ca=pki.ca(*believed), cert=cert, key=key, words=OF_ROUTERS)
    return ClientCredentials(files)


@contextlib.asynccontextmanager
async def directory(tls: ClientCredentials | None) -> AsyncIterator[EndpointDirectory]:
    pool = EndpointDirectory(ANYWHERE, tls=tls)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.mark.parametrize("batching", [ECHO, ONE_BY_ONE], ids=["stream", "unary"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("asks", [False, True], ids=["tls", "mtls"])
async def test_a_handler_is_verified_by_the_name_that_it_registered_with(
    pki: Pki, host: str, asks: bool, batching: object
) -> None:
    tls = ServerCredentials(pki.server(issued("ours", host), client_ca=pki.ca() if asks else None))
    handler = Handler()
    async with serving(handler, tls=tls) as port, directory(router_tls(pki)) as pool:
        pool.update([registration(port, batching, host=host)])  # type: ignore[arg-type]
        assert isinstance(await pool.call("claims", request("echo"), 10), Answered)
    assert len(handler.calls) == 1


@pytest.mark.parametrize(
    ("by", "names", "reason", "said"),
    [
        ("ours", ("127.0.0.1",), "TLS_NAME_MISMATCH", "for 127.0.0.1 and not for localhost"),
        (
            "theirs",
            ("localhost",),
            "TLS_AUTHORITY_UNKNOWN",
            "set WAYSTATION_HANDLER_TLS_CA to the certificate of that authority",
        ),
        ("ended", ("localhost",), "TLS_CERTIFICATE_EXPIRED", "renew it there"),
        (None, (), "TLS_NOT_SPOKEN", "the server does not speak TLS"),
    ],
)
async def test_what_is_wrong_stands_in_the_report_and_with_the_delivery(
    pki: Pki, by: str | None, names: tuple[str, ...], reason: str, said: str
) -> None:
    handler = Handler()
    tls: ServerCredentials | Ended | None = None
    if by is not None:
        ended = by == "ended"
        tls = Ended(*names) if ended else ServerCredentials(pki.server(issued(by, *names)))
    async with serving(handler, tls=tls) as port, directory(router_tls(pki)) as pool:
        endpoint = registration(port, ECHO, host="localhost")
        pool.update([endpoint])

        async def trouble() -> str:
            return str(pool.report()[endpoint.handler_id]["last_error"])

        told = await eventually(trouble, until=lambda text: reason in text)
        assert told.startswith(f"no connection to localhost:{port}: {reason}: ")
        assert said in told
        outcome = await pool.call("claims", request("echo"), 10)
        assert isinstance(outcome, NotSent)
        assert told in outcome.reason
        # A replay says the same.
        async with HandlerCalls(ANYWHERE, router_tls(pki)) as calls:
            outcome = await calls.call([endpoint], request("echo"), 10)
        assert isinstance(outcome, NotSent)
        assert told in outcome.reason
    assert not handler.calls


async def test_a_router_without_tls_is_told_to_use_it(pki: Pki) -> None:
    tls = ServerCredentials(pki.server())
    async with serving(Handler(), tls=tls) as port, directory(None) as pool:
        endpoint = registration(port, ECHO)
        pool.update([endpoint])

        async def trouble() -> str:
            return str(pool.report()[endpoint.handler_id]["last_error"])

        told = await eventually(trouble, until=lambda text: "TLS_REQUIRED" in text)
        assert "set WAYSTATION_HANDLER_TLS_CA" in told
        # As soon as it is repaired, nothing of it remains.
    async with serving(Handler(), port=port), directory(None) as pool:
        pool.update([endpoint])
        assert isinstance(await pool.call("claims", request("echo"), 10), Answered)
        assert await trouble() == ""


async def test_a_replay_calls_over_tls(pki: Pki) -> None:
    handler = Handler()
    tls = ServerCredentials(pki.server(issued("ours", "localhost"), client_ca=pki.ca()))
    async with (
        serving(handler, tls=tls) as port,
        HandlerCalls(ANYWHERE, router_tls(pki)) as calls,
    ):
        endpoint = registration(port, ECHO, host="localhost")
        assert isinstance(await calls.call([endpoint], request("echo"), 10), Answered)


async def test_no_call_fails_while_the_certificates_of_both_sides_are_replaced(pki: Pki) -> None:
    tls = ServerCredentials(pki.server())
    client = router_tls(pki)
    done = asyncio.Event()
    answered = 0
    handler = Handler()
    async with serving(handler, tls=tls) as port, directory(client) as pool:
        pool.update([registration(port, ECHO, WAIT)])

        async def load(number: int) -> None:
            nonlocal answered
            while not done.is_set():
                outcome = await pool.call("claims", request("echo", str(number)), 10)
                assert isinstance(outcome, Answered), outcome
                answered += 1

        async def more() -> None:
            enough = answered + 20

            async def reached() -> bool:
                return answered > enough

            await eventually(reached)

        def renewed() -> None:
            client.look()
            pool.credentials_changed()

        loads = [asyncio.create_task(load(number)) for number in range(8)]
        long = pool.call("claims", request("wait", "long"), 30)
        await more()
        pki.ca("ours", "theirs")
        renewed()
        await more()
        pki.pair("server", issued("theirs", "127.0.0.1"))
        tls.look()
        pki.ca("theirs")
        renewed()
        await more()
        # What was in call all the time ends on the connection that it began on.
        handler.release.set()
        assert isinstance(await long, Answered)
        done.set()
        await asyncio.gather(*loads)
