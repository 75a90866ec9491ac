"""Every method that a server serves, called by everybody: it does what the table of roles says, on all four
kinds of call, and fails closed."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import waystation.v1
from waystation_core.identity.access import Access
from waystation_core.identity.keys_file import KeysFile, digest_of_key, new_key
from waystation_core.identity.principal import GRANTABLE
from waystation_core.rpc.channels import open_channel
from waystation_core.rpc.roles import OF_THE_INSTALLATION, OPEN_TO_ALL, ROLES, Role
from waystation_core.rpc.server import RpcServer, Service

ROLE_NAMES = sorted(role.value for role in GRANTABLE)


def methods() -> dict[str, Any]:
    """Every method of the contract's services, health and reflection, by its full name."""
    files = [
        importlib.import_module(f"waystation.v1.{module.name}")
        for module in pkgutil.iter_modules(waystation.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    return {
        f"/{service.full_name}/{method.name}": method
        for file in (*files, health_pb2, reflection_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


METHODS = methods()
KEYS = {
    **{role: new_key() for role in ROLE_NAMES},
    **{f"{role} of another": new_key() for role in ROLE_NAMES},
    **{f"{role} of all": new_key() for role in ROLE_NAMES},
}


class Answering:
    """Answers every method of a service with an empty message: what gets here was let in."""

    def __init__(self, service: Any) -> None:
        self.service = service

    def add(self, server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    self.service.full_name,
                    {method.name: _handler(method) for method in self.service.methods},
                ),
            )
        )


def _handler(method: Any) -> Any:
    answer = method.output_type._concrete_class

    async def one(request: Any, context: Any) -> Any:
        return answer()

    async def many(request: Any, context: Any) -> AsyncIterator[Any]:
        # Streams of the contract take and give bytes.
        yield answer().SerializeToString() if method.client_streaming else answer()

    deserialize = method.input_type._concrete_class.FromString
    serialize = answer.SerializeToString
    if method.client_streaming and method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(many, deserialize, serialize)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(many, deserialize, serialize)
    return grpc.unary_unary_rpc_method_handler(one, deserialize, serialize)


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    entries = []
    for name, key in KEYS.items():
        role, _, where = name.partition(" of ")
        namespace = {"": "default", "another": "acme", "all": "*"}[where]
        entry = {"name": name.replace(" ", "-"), "sha256": digest_of_key(key)}
        entry |= {"grants": {namespace: [role]}, "service_names": ["claims"]}
        entries.append(entry)
    file.write_text(json.dumps({"keys": entries}))
    file.chmod(0o600)
    return file


@pytest.fixture
async def channel(keys_file: Path) -> AsyncIterator[grpc.aio.Channel]:
    """To a server that serves every method of the contract."""
    services = {
        method.containing_service.full_name: method.containing_service
        for name, method in METHODS.items()
        if name.startswith("/waystation.")
    }
    server = RpcServer(
        [Service(name, Answering(service).add) for name, service in services.items()],
        host="127.0.0.1",
        port=0,
        access=Access([KeysFile(keys_file)]),
    )
    await server.start()
    channel = open_channel(server.address)
    yield channel
    await channel.close()
    await server.stop(0)


async def outcome(channel: grpc.aio.Channel, name: str, key: str | None) -> str:
    """The status of a call, with an empty request."""
    method = METHODS[name]
    request = method.input_type._concrete_class()
    metadata = () if key is None else (("authorization", f"Bearer {key}"),)
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    call = getattr(channel, kind)(name)
    data = request.SerializeToString()
    sent = iter([data]) if method.client_streaming else data
    try:
        running = call(sent, metadata=metadata, timeout=20)
        if not method.server_streaming:
            await running
        else:
            await running.read()
            running.cancel()
    except grpc.aio.AioRpcError as error:
        # The library's health service does not implement all that it lets in.
        let_in = name in OPEN_TO_ALL and error.code() is grpc.StatusCode.UNIMPLEMENTED
        return "OK" if let_in else error.code().name
    return "OK"


def attempts() -> Iterator[tuple[str, str | None]]:
    yield "no key", None
    yield "an unknown key", new_key()
    yield "no key at all", "x"
    yield from KEYS.items()


def expected(name: str, who: str) -> str:
    """What the table of roles says."""
    if name in OPEN_TO_ALL:
        return "OK"
    if who not in KEYS:
        return "UNAUTHENTICATED"
    role, _, where = who.partition(" of ")
    if Role(role) not in ROLES[name]:
        return "PERMISSION_DENIED"
    if name in OF_THE_INSTALLATION:
        return "OK" if where == "all" else "PERMISSION_DENIED"
    return "OK"


@pytest.mark.parametrize("name", METHODS)
async def test_a_method_is_open_to_its_roles_and_to_nobody_else(
    name: str, channel: grpc.aio.Channel
) -> None:
    found = {who: await outcome(channel, name, key) for who, key in attempts()}
    assert found == {who: expected(name, who) for who, _ in attempts()}


def about_namespace(name: str) -> tuple[Any, Any]:
    """An empty request, and the message of it that has its namespace; None: it has none."""
    request = METHODS[name].input_type._concrete_class()
    for about in (request, getattr(request, "start", None)):
        if about is not None and "namespace" in about.DESCRIPTOR.fields_by_name:
            return request, about
    return request, None


@pytest.mark.parametrize("name", [name for name in METHODS if about_namespace(name)[1] is not None])
async def test_a_role_in_one_namespace_is_nothing_in_another(
    name: str, channel: grpc.aio.Channel
) -> None:
    """And a namespace that exists says no more than one that does not."""
    request, about = about_namespace(name)
    role = sorted(role.value for role in ROLES[name])[0]
    found = {}
    for who, namespace in ((role, "acme"), (role, "none-such"), (f"{role} of another", "acme")):
        about.namespace = namespace
        call = (
            channel.unary_stream(name)
            if METHODS[name].server_streaming
            else channel.unary_unary(name)
        )
        running = call(
            request.SerializeToString(),
            metadata=(("authorization", f"Bearer {KEYS[who]}"),),
            timeout=20,
        )
        try:
            if METHODS[name].server_streaming:
                await running.read()
                running.cancel()
            else:
                await running
            found[who, namespace] = "OK"
        except grpc.aio.AioRpcError as error:
            found[who, namespace] = error.code().name
    assert found == {
        (role, "acme"): "NOT_FOUND",
        (role, "none-such"): "NOT_FOUND",
        (f"{role} of another", "acme"): "OK",
    }
