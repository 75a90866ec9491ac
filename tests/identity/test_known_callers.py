"""A server that knows its callers, attacked and administered while it is called."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs
from support.issuer import AUDIENCE, ISSUER, Issuer, claims_of, unsigned
from support.waiting import eventually

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.workflow_service_pb2_grpc import (
    WorkflowServiceServicer,
    WorkflowServiceStub,
    add_WorkflowServiceServicer_to_server,
)
from waystation_core.identity.access import Access
from waystation_core.identity.api_tokens import ApiTokens, digest_of_secret, new_secret
from waystation_core.identity.jwks import BETWEEN_SECONDS, KeySet
from waystation_core.identity.jwt_settings import JwtSettings
from waystation_core.identity.jwt_tokens import JwtTokens
from waystation_core.identity.keys_file import KeysFile, digest_of_key, new_key
from waystation_core.identity.principal import caller
from waystation_core.ports.store import TokenGrants, ValidToken
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.server import RpcServer, Service


class Workflows(WorkflowServiceServicer):
    """Says who called, and streams until the test ends."""

    def __init__(self) -> None:
        self.streams = 0

    async def GetWorkflow(self, request: Any, context: Any) -> Any:
        response = pb.GetWorkflowResponse()
        response.context.workflow_instance_id = caller().name
        return response

    async def WatchWorkflow(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.streams += 1
        try:
            yield pb.WatchWorkflowResponse()
            await asyncio.Event().wait()
        finally:
            self.streams -= 1


class Rows:
    """Valid API tokens, by the hash of their secrets."""

    def __init__(self) -> None:
        self.valid: dict[bytes, ValidToken] = {}

    def add(self, name: str) -> str:
        secret = new_secret()
        grants = TokenGrants({"default": ("reader",)}, ())
        self.valid[digest_of_secret(secret)] = ValidToken(name, grants, None)
        return secret

    async def valid_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, ValidToken]:
        return {each: self.valid[each] for each in digests if each in self.valid}


class Known:
    """A server with the three ways, and its callers."""

    def __init__(self, keys: Path) -> None:
        self.file = keys
        self.rows, self.issuer, self.workflows = Rows(), Issuer(), Workflows()
        self.now = 1_000.0
        self.key = new_key()
        self.write(self.key)
        self.stub: Any = None

    def write(self, *keys: str) -> None:
        """Replaces the file of keys, in one step."""
        entries = [
            {"name": "ops", "sha256": digest_of_key(key), "grants": {"default": ["reader"]}}
            for key in keys
        ]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"keys": entries}))
        new.chmod(0o600)
        new.replace(self.file)

    def ways(self) -> list[Any]:
        keys = KeySet(self.issuer.read, "test", clock=lambda: self.now)
        rows: Any = self.rows
        return [
            KeysFile(self.file),
            ApiTokens(rows),
            JwtTokens(JwtSettings(issuer=ISSUER, audience=AUDIENCE), keys),
        ]

    async def get(self, credential: str | None) -> str:
        """The name of the caller; or why it is refused."""
        try:
            response = await self.stub.GetWorkflow(
                pb.GetWorkflowRequest(workflow_instance_id="w-1"), metadata=bearer(credential)
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        name: str = response.context.workflow_instance_id
        return name


def bearer(credential: str | None) -> tuple[tuple[str, str], ...]:
    return () if credential is None else (("authorization", f"Bearer {credential}"),)


Serve = Callable[[float], Any]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    stack = contextlib.AsyncExitStack()

    async def start(kept_seconds: float) -> Known:
        known = Known(tmp_path / "keys.json")
        service = Service(
            "waystation.v1.WorkflowService",
            lambda server: add_WorkflowServiceServicer_to_server(known.workflows, server),
        )
        access = Access(known.ways(), kept_seconds=kept_seconds)
        server = RpcServer([service], host="127.0.0.1", port=0, access=access)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        channel = open_channel(server.address)
        stack.push_async_callback(channel.close)
        known.stub = WorkflowServiceStub(channel)
        return known

    yield start
    await stack.aclose()


async def test_the_three_ways_lead_to_a_caller_and_nothing_tells_what_was_wrong(
    serve: Serve,
) -> None:
    known = await serve(25.0)
    assert await known.get(known.key) == "key:ops"
    assert await known.get(known.rows.add("deploy")) == "token:deploy"
    assert await known.get(known.issuer.token(permissions=["default:reader"])) == "jwt:ada"
    forged = unsigned({"alg": "none", "kid": "first"}, claims_of())
    expired = known.issuer.token(exp=1)
    refused = {
        await known.get(credential)
        for credential in (None, "x", new_key(), new_secret(), forged, expired, "a.b.c")
    }
    assert len(refused) == 1
    assert refused.pop().startswith("UNAUTHENTICATED: The call has no valid credential.")


async def test_keys_and_tokens_are_replaced_while_calls_go_on(serve: Serve) -> None:
    """Each is in use together with the old one for a while; no call of either fails meanwhile."""
    known = await serve(0.0)
    done, over = 0, asyncio.Event()
    credentials = {"key": known.key, "token": known.rows.add("deploy")}
    credentials["jwt"] = known.issuer.token("first", permissions=["default:reader"])

    async def calling(way: str) -> None:
        nonlocal done
        while not over.is_set():
            answer = await known.get(credentials[way])
            assert not answer.startswith("UNAUTHENTICATED"), (way, answer)
            done += 1

    async def some_more() -> None:
        seen = done

        async def count() -> int:
            return done

        await eventually(count, until=lambda now: now > seen + 20)

    async with asyncio.TaskGroup() as group:
        for way in credentials:
            group.create_task(calling(way))
        await some_more()
        key, secret = new_key(), known.rows.add("deploy-2")
        known.write(known.key, key)
        known.issuer.kids = {"first": "ES256", "second": "ES256"}
        known.now += BETWEEN_SECONDS
        await some_more()
        old = dict(credentials)
        credentials |= {"key": key, "token": secret}
        credentials["jwt"] = known.issuer.token("second", permissions=["default:reader"])
        await some_more()
        known.write(key)
        del known.rows.valid[digest_of_secret(old["token"])]
        await some_more()
        over.set()
    for way in ("key", "token"):
        assert (await known.get(old[way])).startswith("UNAUTHENTICATED")


async def test_a_file_of_keys_that_cannot_be_used_locks_nobody_out(serve: Serve) -> None:
    known = await serve(0.0)
    assert await known.get(known.key) == "key:ops"
    known.file.write_text("{")
    assert await known.get(known.key) == "key:ops"
    known.write(known.key)
    known.file.chmod(0o666)
    assert await known.get(known.key) == "key:ops"


async def test_a_stream_does_not_outlive_its_token(serve: Serve) -> None:
    known = await serve(0.05)
    secret = known.rows.add("deploy")
    request = pb.WatchWorkflowRequest(workflow_instance_id="w-1")
    with_token = known.stub.WatchWorkflow(request, metadata=bearer(secret))
    with_key = known.stub.WatchWorkflow(request, metadata=bearer(known.key))
    await with_token.read()
    await with_key.read()
    known.rows.valid.clear()
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await with_token.read()
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED

    async def streams() -> int:
        return known.workflows.streams

    assert await eventually(streams, until=lambda open_ones: open_ones == 1) == 1
    with_key.cancel()


async def test_a_flood_of_strangers_does_not_stop_those_who_are_known(serve: Serve) -> None:
    """Nor does it fill the log."""
    known = await serve(25.0)
    with capture_logs() as lines:
        strangers = [
            asyncio.create_task(known.get(credential))
            for number in range(1_000)
            for credential in (None, new_secret() if number % 2 else new_key())
        ]
        known_ones = await asyncio.gather(*(known.get(known.key) for _ in range(50)))
        answers = await asyncio.gather(*strangers)
    assert set(known_ones) == {"key:ops"}
    assert {answer.partition(":")[0] for answer in answers} == {"UNAUTHENTICATED"}
    refused = [line for line in lines if line["event"] == "calls_refused"]
    assert 1 <= len(refused) < 100
    assert not [line for line in lines if "wst_" in str(line) or "wsk_" in str(line)]
