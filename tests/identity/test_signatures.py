"""Signed calls: what a router signs, and what a handler service admits."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.identity_vectors import FILE, Vector, vectors, written
from support.signing import key, write
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.identity import signatures
from waystation_core.identity.signatures import (
    METADATA_KEY,
    UNSIGNED,
    BadSigningKey,
    Signatures,
    SigningKey,
)
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_core.rpc.handler_calls import HandlerCalls
from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_domain.task_spec import TaskSpec
from waystation_router.endpoints import EndpointDirectory, condition, connected_endpoint
from waystation_router.endpoints.stream import EventStream
from waystation_worker import (
    HandlerService,
    SettingsError,
    TaskContext,
    router_identity,
    server,
)
from waystation_worker.router_identity import IdentityKeys, NotIdentified, RouterIdentity, verified
from waystation_worker.settings import read_settings

ALLOWLIST = Allowlist.parse(DEFAULT_ALLOWLIST)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def token_of(made: Signatures, service: str = "claims") -> str:
    metadata = made.of_calls(service, "default")
    assert metadata is not None
    [(name, token)] = metadata
    assert name == METADATA_KEY
    return token


# --- what is signed ------------------------------------------------------------------------------


def test_a_signature_is_made_once_in_half_a_minute_for_each_service(tmp_path: Path) -> None:
    clock = Clock()
    made = Signatures(write(tmp_path / "key.pem", 1), clock=clock)
    first = token_of(made)
    clock.now += 29
    assert token_of(made) is first
    # The oldest that is sent is still good for half a minute, also where the handler's clock is ahead by as much.
    verified(first, "claims", "default", frozenset({key(1).public}), clock.now + 30)
    assert token_of(made, "orders") != first
    clock.now += 2
    assert token_of(made) != first
    # Set back: signatures of the future would be refused.
    clock.now -= 3600
    verified(token_of(made), "claims", "default", frozenset({key(1).public}), clock.now)


def test_another_key_is_taken_into_use_and_one_that_cannot_be_used_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    path = write(tmp_path / "key.pem", 1)
    made = Signatures(path, clock=clock)

    def signs(number: int) -> None:
        clock.now += signatures.LOOK_SECONDS
        verified(token_of(made), "claims", "default", frozenset({key(number).public}), clock.now)

    signs(1)
    write(path, 2)
    signs(2)
    path.write_text("half a file")
    signs(2)
    assert "signing_key_not_usable" in "".join(capfd.readouterr())
    path.unlink()
    signs(2)
    write(path, 3)
    signs(3)


def test_without_a_key_nothing_is_sent() -> None:
    assert UNSIGNED.of_calls("claims", "default") is None


def test_keys_that_cannot_be_used_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "key.pem", 1)
    assert SigningKey.read(path).public == key(1).public
    for mode in (0o604, 0o620, 0o666):
        path.chmod(mode)
        with pytest.raises(BadSigningKey, match="run `chmod 600"):
            SigningKey.read(path)
    path.chmod(0o640)
    assert SigningKey.read(path).public == key(1).public
    path.write_text("no key")
    with pytest.raises(BadSigningKey, match="make one with `waystation signing-key new FILE`"):
        SigningKey.read(path)
    with pytest.raises(BadSigningKey, match="No such file"):
        SigningKey.read(tmp_path / "missing.pem")


# --- what is admitted ----------------------------------------------------------------------------


def test_the_vectors_of_all_languages_are_made_by_the_code_of_routers() -> None:
    assert FILE.read_text() == written(), "run `python -m support.identity_vectors` in tests"


@pytest.mark.parametrize("vector", vectors(), ids=lambda each: each.name)
def test_the_sdk_judges_each_vector(vector: Vector) -> None:
    refused = contextlib.nullcontext() if vector.admitted else pytest.raises(NotIdentified)
    with refused:
        verified(vector.token, vector.service, vector.namespace, frozenset(vector.keys), vector.now)


@pytest.fixture
def ran() -> list[str]:
    """The tasks that were begun."""
    return []


@pytest.fixture
def service(ran: list[str]) -> HandlerService:
    service = HandlerService("claims")

    async def answer(ctx: TaskContext) -> None:
        ran.append(ctx.task_id)
        ctx.emit("done")

    for name in ("batched", "single"):
        service.task(name, events=["claim.filed"], workflow_types=["claim"])(answer)
    return service


def registration(port: int, handler_id: str = "h-1") -> Registration:
    specs = tuple(
        TaskSpec(name, "claims", ("claim.filed",), ("claim",), batching=name == "batched")
        for name in ("batched", "single")
    )
    return Registration(handler_id, "claims", "1", "127.0.0.1", port, static=False, tasks=specs)


def request(task_id: str, number: int = 1) -> pb.HandleEventRequest:
    made = pb.HandleEventRequest(task_id=task_id, attempt=1, idempotency_key=f"{number}:{task_id}")
    made.event.event_id = f"e-{number}"
    made.event.event_type = "claim.filed"
    made.context.namespace = "default"
    made.context.workflow_type = "claim"
    return made


@contextlib.asynccontextmanager
async def directory(made: Signatures) -> AsyncIterator[EndpointDirectory]:
    found = EndpointDirectory(ALLOWLIST, signatures=made)
    try:
        yield found
    finally:
        await found.close()


both_ways = pytest.mark.parametrize("task_id", ["single", "batched"])


@both_ways
async def test_a_signed_call_is_admitted_and_no_other(
    service: HandlerService, ran: list[str], tmp_path: Path, task_id: str
) -> None:
    ours = Signatures(write(tmp_path / "ours.pem", 1))
    theirs = Signatures(write(tmp_path / "theirs.pem", 2))
    async with service.serving(port=0, register=False, identity_keys=[key(1).public]) as running:
        for made, why in (
            (UNSIGNED, "the call is not signed: set WAYSTATION_SIGNING_KEY"),
            (theirs, f"a key that this service does not know ({key(2).public})"),
        ):
            async with directory(made) as router:
                router.update([registration(running.port)])
                outcome = await router.call("claims", request(task_id), 5)
                # No attempt: the delivery waits, and `explain` and the list of handlers say why.
                assert isinstance(outcome, NotSent)
                assert not outcome.unannounced
                assert why in outcome.reason
                [report] = router.report().values()
                assert report["reachable"] is False
                assert why in str(report["last_error"])
                assert router.live_tasks() == frozenset()
        assert ran == []
        async with directory(ours) as router:
            router.update([registration(running.port)])
            assert isinstance(await router.call("claims", request(task_id), 5), Answered)
        assert ran == [task_id]
        # The health check is open, and everything else needs a signature.
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())


async def test_a_replay_is_signed_too(service: HandlerService, tmp_path: Path) -> None:
    ours = Signatures(write(tmp_path / "ours.pem", 1))
    async with service.serving(port=0, register=False, identity_keys=[key(1).public]) as running:
        endpoints = [registration(running.port)]
        async with HandlerCalls(ALLOWLIST, signatures=ours) as calls:
            assert isinstance(await calls.call(endpoints, request("single"), 5), Answered)
        async with HandlerCalls(ALLOWLIST) as calls:
            outcome = await calls.call(endpoints, request("single"), 5)
        assert isinstance(outcome, NotSent)
        assert "the call is not signed" in outcome.reason


@both_ways
async def test_another_endpoint_is_called_and_the_one_that_refused_is_asked_now_and_then(
    service: HandlerService,
    tmp_path: Path,
    task_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(router_identity, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(condition, "REFUSED_SECONDS", 0.05)
    caplog.set_level(logging.WARNING, "waystation_worker")
    known = tmp_path / "known"
    known.write_text(f"{key(2).public}  # of another installation\n")
    monkeypatch.setenv("WAYSTATION_IDENTITY_KEYS_FILE", str(known))
    ours = Signatures(write(tmp_path / "ours.pem", 1))
    async with (
        service.serving(port=0, register=False) as wrong,
        service.serving(port=0, register=False, identity_keys=[key(1).public]) as right,
        directory(ours) as router,
    ):
        only = registration(wrong.port)
        router.update([only])
        assert isinstance(await router.call("claims", request(task_id), 5), NotSent)
        router.update([only, registration(right.port, "h-2")])
        for number in range(10):
            assert isinstance(await router.call("claims", request(task_id, number), 5), Answered)
        # Said once, however many calls were refused since.
        assert len([each for each in caplog.records if "refused a call" in each.message]) == 1
        router.update([only])
        known.write_text(f"{key(2).public}\n{key(1).public}\n")

        async def accepted() -> bool:
            return isinstance(await router.call("claims", request(task_id), 5), Answered)

        await eventually(accepted)
        [report] = router.report().values()
        assert (report["reachable"], report["last_error"]) == (True, "")


async def test_an_endpoint_that_refuses_is_asked_again_by_a_single_call(
    service: HandlerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is refused while something is written to it may look broken, as if the task had begun."""
    monkeypatch.setattr(condition, "REFUSED_SECONDS", 0.0)
    streams: list[object] = []

    def opened(*given: Any, **named: Any) -> EventStream:
        streams.append(given)
        return EventStream(*given, **named)

    monkeypatch.setattr(connected_endpoint, "EventStream", opened)
    ours = Signatures(write(tmp_path / "ours.pem", 1))
    async with (
        service.serving(port=0, register=False, identity_keys=[key(2).public]) as wrong,
        directory(ours) as router,
    ):
        router.update([registration(wrong.port)])
        for number in range(3):
            asked = await router.call("claims", request("batched", number), 5)
            assert isinstance(asked, NotSent)
            assert "does not know" in asked.reason
    assert len(streams) == 1


async def test_a_stream_outlives_the_signature_that_it_was_opened_with(
    service: HandlerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = Clock()
    monkeypatch.setattr(server, "RouterIdentity", partial(RouterIdentity, clock=ahead))
    ours = Signatures(write(tmp_path / "ours.pem", 1), clock=Clock())
    async with (
        service.serving(port=0, register=False, identity_keys=[key(1).public]) as running,
        directory(ours) as router,
    ):
        router.update([registration(running.port)])
        assert isinstance(await router.call("claims", request("batched", 1), 5), Answered)
        ahead.now += 3600
        # The stream was admitted; a new call is not, as its signature has expired by this clock.
        assert isinstance(await router.call("claims", request("batched", 2), 5), Answered)
        outcome = await router.call("claims", request("single"), 5)
        assert isinstance(outcome, NotSent)
        assert "has expired: compare the clocks" in outcome.reason


async def test_a_task_that_answers_unauthenticated_itself_has_made_an_attempt(
    tmp_path: Path,
) -> None:
    """A router cannot know what such a task did: only the reason says that nothing was begun."""
    server = grpc.aio.server()

    async def answer(request: object, context: grpc.aio.ServicerContext) -> None:  # type: ignore[type-arg]
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the bank does not know me")

    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "waystation.v1.TaskHandlerService",
                {"HandleEvent": grpc.unary_unary_rpc_method_handler(answer)},
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with directory(UNSIGNED) as router:
        router.update([registration(port)])
        outcome = await router.call("claims", request("single"), 5)
    await server.stop(None)
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, outcome.error.permanent) == ("UNAUTHENTICATED", True)


async def test_keys_are_replaced_under_load_without_a_failed_call(
    service: HandlerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_identity, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(signatures, "LOOK_SECONDS", 0.0)
    known, signing = tmp_path / "known", write(tmp_path / "key.pem", 1)
    known.write_text(key(1).public)
    monkeypatch.setenv("WAYSTATION_IDENTITY_KEYS_FILE", str(known))
    done = asyncio.Event()
    answered = 0
    async with (
        service.serving(port=0, register=False) as running,
        directory(Signatures(signing)) as router,
    ):
        router.update([registration(running.port)])

        async def load(number: int) -> None:
            nonlocal answered
            while not done.is_set():
                outcome = await router.call("claims", request("single", number), 5)
                assert isinstance(outcome, Answered), outcome
                answered += 1

        async def more(than: int) -> None:
            async def reached() -> bool:
                return answered > than or any(each.done() for each in loads)

            await eventually(reached)

        loads = [asyncio.create_task(load(number)) for number in range(8)]
        await more(20)
        known.write_text(f"{key(1).public}\n{key(2).public}\n")
        await more(answered + 20)
        write(signing, 2)
        await more(answered + 20)
        known.write_text(key(2).public)
        await more(answered + 20)
        done.set()
        await asyncio.gather(*loads)
        # The old key is worth nothing any more.
        async with directory(Signatures(write(tmp_path / "old.pem", 1))) as old:
            old.update([registration(running.port)])
            assert isinstance(await old.call("claims", request("single"), 5), NotSent)


def test_a_removed_key_is_worth_nothing_at_once(tmp_path: Path) -> None:
    clock = Clock()
    known = tmp_path / "known"
    known.write_text(key(1).public)
    keys = IdentityKeys.of(None, {"WAYSTATION_IDENTITY_KEYS_FILE": str(known)})
    assert keys is not None
    door = RouterIdentity(keys, "claims", "default", clock=clock)
    signed = [(METADATA_KEY, key(1).sign("claims", "default", clock.now))]
    door.check(signed)
    known.write_text(key(2).public)
    clock.now += router_identity.LOOK_SECONDS
    with pytest.raises(NotIdentified, match="a key that this service does not know"):
        door.check(signed)
    # What cannot be used changes nothing.
    known.write_text("half a ke")
    clock.now += router_identity.LOOK_SECONDS
    door.check([(METADATA_KEY, key(2).sign("claims", "default", clock.now))])


def test_a_call_for_another_namespace_is_refused_also_before_the_service_knows_its_own() -> None:
    """Somebody in another namespace may register a service of the same name at this one's address."""
    door = RouterIdentity(IdentityKeys((key(1).public,)), "claims", "")

    def signed(namespace: str) -> list[tuple[str, str]]:
        return [(METADATA_KEY, key(1).sign("claims", namespace, time.time()))]

    with pytest.raises(NotIdentified, match="has not registered yet"):
        door.check(signed("acme"))
    door.namespace = "acme"
    door.check(signed("acme"))
    with pytest.raises(
        NotIdentified, match="for the namespace default, and this service is of acme"
    ):
        door.check(signed("default"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"WAYSTATION_IDENTITY_KEYS": "abc"}, "WAYSTATION_IDENTITY_KEYS must have public keys"),
        ({"WAYSTATION_IDENTITY_KEYS": ","}, "'' is none"),
        ({"WAYSTATION_IDENTITY_KEYS_FILE": "missing"}, "cannot be read: No such file"),
        ({"WAYSTATION_IDENTITY_KEYS_FILE": "empty"}, "there is none"),
        (
            {"WAYSTATION_IDENTITY_KEYS": key(1).public, "WAYSTATION_IDENTITY_KEYS_FILE": "empty"},
            "are both set",
        ),
    ],
    ids=["short", "empty", "missing", "no key", "both"],
)
def test_identity_keys_that_cannot_be_used_are_refused_at_once(
    given: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("# none yet\n")
    with pytest.raises(SettingsError) as caught:
        read_settings(environ=given)
    assert said in caught.value.message


async def test_no_key_at_all_is_no_door_that_stands_open(service: HandlerService) -> None:
    with pytest.raises(SettingsError, match="identity_keys must have public keys"):
        async with service.serving(port=0, register=False, identity_keys=[]):
            raise AssertionError("it serves")
