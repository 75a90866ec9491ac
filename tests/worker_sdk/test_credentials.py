"""Tokens of clients and handler services: where they come from, that they follow their file, and that none is sent
where others could read it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from support.waiting import eventually
from worker_sdk.fakes import FakeWaystation, Refusal

from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import (
    Client,
    HandlerService,
    NotAllowed,
    PermissionDenied,
    SettingsError,
    TaskContext,
    Unauthenticated,
)
from waystation_worker.credentials import Credentials

Put = Callable[[str], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Replaces the file of the token, as an operator does; every look at it is due."""
    monkeypatch.setattr("waystation_worker.credentials._LOOK_SECONDS", 0.0)
    file = tmp_path / "token"
    monkeypatch.setenv("WAYSTATION_TOKEN_FILE", str(file))

    def replace(token: str) -> None:
        new = tmp_path / "new"
        new.write_text(token)
        os.replace(new, file)

    return replace


@pytest.fixture
def answering(waystation: FakeWaystation) -> FakeWaystation:
    waystation.usual["StartWorkflow"] = lambda _: pb.StartWorkflowResponse()
    waystation.usual["GetWorkflow"] = lambda _: pb.GetWorkflowResponse()
    waystation.usual["WatchWorkflow"] = lambda _: []
    return waystation


async def test_every_kind_of_call_carries_the_token(answering: FakeWaystation) -> None:
    async with Client(answering.address, token="wst_1") as client:
        await client.start("claim")
        await client.get("w-1")
        assert [entry async for entry in client.watch("w-1")] == []
    assert [name for name, _ in answering.calls] == [
        "StartWorkflow",
        "GetWorkflow",
        "WatchWorkflow",
    ]
    assert answering.tokens == ["wst_1"] * 3


async def test_without_a_token_nothing_is_sent(answering: FakeWaystation) -> None:
    async with Client(answering.address) as client:
        await client.get("w-1")
    assert answering.tokens == [None]


async def test_the_argument_comes_before_the_environment(
    answering: FakeWaystation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYSTATION_TOKEN", "wst_env")
    async with Client(answering.address) as client:
        await client.get("w-1")
    async with Client(answering.address, token="wst_own") as client:
        await client.get("w-1")
    assert answering.tokens == ["wst_env", "wst_own"]


async def test_a_replaced_file_is_used_by_the_next_call_and_a_new_stream(
    answering: FakeWaystation, put: Put
) -> None:
    put("wst_1\n")
    async with Client(answering.address) as client:
        await client.start("claim")
        await client.get("w-1")
        put("wst_2\n")
        await client.start("claim")
        await client.get("w-1")
        # Half written, or gone: the old one goes on.
        put("\n")
        await client.get("w-1")
    assert answering.tokens == ["wst_1", "wst_1", "wst_2", "wst_2", "wst_2"]


async def test_a_call_that_was_refused_because_its_token_was_replaced_is_repeated(
    answering: FakeWaystation, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("wst_1")
    async with Client(answering.address) as client:
        await client.start("claim")
        # No look is due any more: only the refusal has the file looked at.
        monkeypatch.setattr("waystation_worker.credentials._LOOK_SECONDS", 3_600.0)
        client._connection._credentials.look(at_once=True)  # type: ignore[union-attr]
        put("wst_2")
        answering.valid = {"wst_2"}
        answering.hang_up_code = grpc.StatusCode.UNAUTHENTICATED
        await client.get("w-1")
        await client.start("claim")
        answering.valid = {"wst_3"}
        with pytest.raises(Unauthenticated):
            await client.get("w-1")
    assert answering.tokens == ["wst_1", "wst_1", "wst_2", "wst_2", "wst_2"]


async def test_a_stream_that_ends_with_its_token_goes_on_with_the_next(
    answering: FakeWaystation, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("wst_1")
    async with Client(answering.address) as client:
        await client.start("claim")
        monkeypatch.setattr("waystation_worker.credentials._LOOK_SECONDS", 3_600.0)
        client._connection._credentials.look(at_once=True)  # type: ignore[union-attr]
        put("wst_2")
        answering.hang_up_code = grpc.StatusCode.UNAUTHENTICATED
        answering.hang_up.set()
        await client.start("claim")
    assert answering.tokens[-1] in ("wst_1", "wst_2")
    assert len(answering.requests("StartWorkflow")) == 2


async def test_refusals_have_types_of_their_own(answering: FakeWaystation) -> None:
    answering.next(
        "GetWorkflow",
        Refusal("UNAUTHENTICATED", "UNAUTHENTICATED"),
        Refusal("PERMISSION_DENIED", "PERMISSION_DENIED", method="GetWorkflow"),
        Refusal("PERMISSION_DENIED", "ENDPOINT_NOT_ALLOWED"),
    )
    async with Client(answering.address, token="wst_1") as client:
        for kind in (Unauthenticated, PermissionDenied, NotAllowed):
            with pytest.raises(NotAllowed) as refused:
                await client.get("w-1")
            assert type(refused.value) is kind
            assert not refused.value.retryable


@pytest.mark.parametrize("address", ["10.0.0.7:7400", "waystation.example:7400", "[fd00::7]:7400"])
def test_a_token_is_not_sent_where_others_can_read_it(address: str) -> None:
    def of(tls: bool = False, **environ: str) -> Credentials | None:
        return Credentials.of("wst_secret", environ, address=address, tls=tls)

    with pytest.raises(SettingsError, match="readable on its way") as refused:
        of()
    assert "secret" not in str(refused.value)
    assert of(WAYSTATION_INSECURE="true") is not None
    assert of(tls=True) is not None
    with pytest.raises(SettingsError, match="readable on its way"):
        Client(address, token="wst_secret")


@pytest.mark.parametrize("address", ["127.0.0.1:7400", "localhost:7400", "[::1]:7400"])
async def test_on_loopback_it_may_be_sent(address: str) -> None:
    Client(address, token="wst_secret")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ä", "x" * 20_000, 7])
def test_what_cannot_be_a_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Credentials(token)
    assert str(token) not in str(refused.value) or not token


def test_files_that_have_no_token_and_two_tokens_are_refused(tmp_path: Path) -> None:
    for environ in (
        {"WAYSTATION_TOKEN_FILE": str(tmp_path / "none")},
        {"WAYSTATION_TOKEN_FILE": str(tmp_path)},
        {"WAYSTATION_TOKEN": "wst_1", "WAYSTATION_TOKEN_FILE": str(tmp_path / "none")},
    ):
        with pytest.raises(SettingsError, match="WAYSTATION_TOKEN_FILE"):
            Credentials.of(None, environ, address="127.0.0.1:7400", tls=False)


async def test_a_handler_service_registers_with_its_token(
    waystation: FakeWaystation, put: Put
) -> None:
    put("wst_1")
    service = HandlerService("claims")

    @service.task(events=["workflow.started"], workflow_types=["claim"])
    async def read(ctx: TaskContext) -> None:
        ctx.complete({})

    waystation.valid = {"wst_1"}
    async with service.serving(address=waystation.address, port=0, lease=1.0) as running:
        await running.wait_registered()
        put("wst_2")
        waystation.valid = {"wst_2"}

        async def renewed() -> list[str | None]:
            return waystation.tokens

        await eventually(renewed, until=lambda tokens: "wst_2" in tokens)
    assert [name for name, _ in waystation.calls][-1] == "UnregisterHandler"
    assert waystation.tokens[0] == "wst_1"
    assert waystation.tokens[-1] == "wst_2"


async def test_a_service_whose_token_is_not_valid_says_so_and_ends(
    waystation: FakeWaystation,
) -> None:
    waystation.valid = {"wst_1"}
    service = HandlerService("claims")

    @service.task(events=["workflow.started"], workflow_types=["claim"])
    async def read(ctx: TaskContext) -> None:
        ctx.complete({})

    with pytest.raises(Unauthenticated):
        await service.serve(address=waystation.address, port=0, token="wst_old")
