"""Calls of `HandleEvent` for replays: one by one, over connections that are closed afterwards. Routers keep
their endpoints connected instead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import grpc
from grpc import ChannelConnectivity as Connectivity

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.background import step
from waystation_core.identity.signatures import UNSIGNED, Signatures
from waystation_core.ports.store import Registration
from waystation_core.rpc.addresses import admitted_addresses, target
from waystation_core.rpc.attempts import (
    Answered,
    Failed,
    NotSent,
    Sent,
    error_of_status,
    late,
    pause_of_not_begun,
    read_answer,
    refuses_caller,
)
from waystation_core.rpc.endpoint_channels import HANDLE_EVENT, open_endpoint_channel
from waystation_core.rpc.message_reader import MessageReader
from waystation_domain.endpoints import Allowlist, host_and_port
from waystation_domain.errors import WaystationError
from waystation_domain.outcomes import AttemptError
from waystation_tls import ClientCredentials, diagnose
from waystation_tls.clients import OF_ROUTERS

CONNECT_SECONDS = 2.0
"""Seconds for one address."""


class _NotReached(Exception):
    """No connection; the message says why, for people."""


class HandlerCalls:
    """Calls tasks. A context manager: its end hangs up everywhere.

    An endpoint is dialled once, when it is first called, where the allowlist admits every address
    that its host leads to by then; what can't be reached is not tried again.
    """

    def __init__(
        self,
        allowlist: Allowlist,
        tls: ClientCredentials | None = None,
        signatures: Signatures = UNSIGNED,
    ) -> None:
        """`tls` None: plain text."""
        self._allowlist = allowlist
        self._tls = tls
        self._signatures = signatures
        self._reader = MessageReader()
        self._dials: dict[tuple[str, int], asyncio.Task[grpc.aio.Channel]] = {}
        self._turn = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for dial in self._dials.values():
            dial.cancel()
        for made in await asyncio.gather(*self._dials.values(), return_exceptions=True):
            if isinstance(made, grpc.aio.Channel):
                await made.close()

    async def call(
        self, endpoints: Sequence[Registration], request: pb.HandleEventRequest, timeout: float
    ) -> Answered | Failed | NotSent:
        """Calls the request's task on one of these endpoints, starting with another one each time, and on the
        next if one cannot be reached or does not host the task. `timeout` is in seconds, for all of it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        self._turn += 1
        start = self._turn % len(endpoints) if endpoints else 0
        problems = []
        for endpoint in (*endpoints[start:], *endpoints[:start]):
            began = loop.time()
            try:
                async with asyncio.timeout_at(deadline):
                    channel = await self._channel(endpoint)
                    left = max(deadline - loop.time(), 0.0)
                    answer = await self._call(endpoint, channel, request, left)
            except _NotReached as why:
                problems.append(str(why))
            except TimeoutError:
                return Failed(late(timeout), endpoint, loop.time() - began)
            except grpc.aio.AioRpcError as status:
                code = status.code()
                if code is grpc.StatusCode.UNIMPLEMENTED:
                    problems.append(f"{_name(endpoint)} does not host {request.task_id}")
                    continue
                trailing = status.trailing_metadata() or ()
                sent = Sent(request.ByteSize(), timeout, loop.time() - began)
                error = error_of_status(code, status.details() or "", trailing, sent)
                if pause_of_not_begun(error) is not None or refuses_caller(error):
                    problems.append(f"{_name(endpoint)}: {error.message}")
                    continue
                return Failed(error, endpoint, loop.time() - began)
            else:
                duration = loop.time() - began
                if isinstance(answer, AttemptError):
                    return Failed(answer, endpoint, duration)
                return Answered(answer, endpoint, duration)
        return NotSent("; ".join(problems) or "there is no live endpoint")

    async def _call(
        self,
        endpoint: Registration,
        channel: grpc.aio.Channel,
        request: pb.HandleEventRequest,
        timeout: float,
    ) -> pb.HandleEventResponse | AttemptError:
        # Bytes back: an unreadable answer is handled here.
        method: Any = channel.unary_unary(
            HANDLE_EVENT, request_serializer=pb.HandleEventRequest.SerializeToString
        )
        metadata = self._signatures.of_calls(endpoint.service_name, endpoint.namespace)
        answer = await method(request, timeout=timeout, metadata=metadata)
        return await read_answer(answer, self._reader)

    async def _channel(self, endpoint: Registration) -> grpc.aio.Channel:
        place = (endpoint.host, endpoint.port)
        dial = self._dials.get(place)
        if dial is None:
            dial = self._dials[place] = step(self._dial(endpoint))
        # A caller that times out does not close the connection for others.
        return await asyncio.shield(dial)

    async def _dial(self, endpoint: Registration) -> grpc.aio.Channel:
        try:
            addresses = await admitted_addresses(endpoint.host, endpoint.port, self._allowlist)
        except WaystationError as refusal:
            raise _NotReached(refusal.message) from None
        except OSError:
            raise _NotReached(f"{endpoint.host} does not resolve") from None
        for address in addresses:
            channel = open_endpoint_channel(
                target(address, endpoint.port), streams=False, host=endpoint.host, tls=self._tls
            )
            try:
                if await _stands(channel):
                    return channel
            except BaseException:
                await channel.close()
                raise
            await channel.close()
        material = None if self._tls is None else self._tls.material
        found = await diagnose(
            str(addresses[-1]), endpoint.port, tls=material, name=endpoint.host, words=OF_ROUTERS
        )
        why = f": {found.reason}: {found.message}" if found is not None else ""
        raise _NotReached(f"no connection to {_name(endpoint)}{why}")


async def _stands(channel: grpc.aio.Channel) -> bool:
    """Whether it connects, at the first try."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while (state := channel.get_state(try_to_connect=True)) is not Connectivity.READY:
                if state is Connectivity.TRANSIENT_FAILURE:
                    return False
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return True


def _name(endpoint: Registration) -> str:
    return host_and_port(endpoint.host, endpoint.port)
