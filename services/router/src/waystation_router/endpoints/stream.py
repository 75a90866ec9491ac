"""One HandleEvents stream: many calls over it, several to a message each way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.background import job
from waystation_core.identity.signatures import Metadata
from waystation_core.rpc.endpoint_channels import HANDLE_EVENTS
from waystation_core.rpc.items import MAX_MESSAGE_BYTES, joined
from waystation_core.rpc.message_reader import MessageReader
from waystation_domain.outcomes import AttemptError
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_router.endpoints.outcomes import PERHAPS_CUT
from waystation_router.endpoints.results import Refused, Token, results_of, small_results

MAX_CANCELS = 1_000
"""Calls in one message: half a MiB at most."""
MAX_ABANDONED = 1_000
FAREWELL_SECONDS = 5.0
STATUS_SECONDS = 1.0
"""How long the status of a stream may take after a write that failed."""

_log = structlog.get_logger(__name__)


class EventStream:
    """Carries calls to one endpoint until it breaks or is retired.

    Calls of one turn of the loop are sent in one message; while a message is being written the next ones
    gather. `answered` gets each result; `ended`, once, gets the rest: calls that were sent and have no
    answer, calls that were not sent, and the status, None if the endpoint closed the stream in order.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        reader: MessageReader,
        answered: Callable[[EndpointCall, pb.HandleEventsResult | AttemptError], None],
        ended: Callable[
            [EventStream, list[EndpointCall], list[EndpointCall], grpc.StatusCode | None], None
        ],
        metadata: Metadata | None = None,
    ) -> None:
        """`metadata` of the stream."""
        self.spoke = False
        """Whether the endpoint has ever answered on it."""
        self.message = ""
        """The text of the status that it ended with."""
        self.retiring = False
        self._messages = reader
        self._answered = answered
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        # Bytes both ways: items are joined as they are, and an unreadable answer is handled here.
        self._rpc: Any = channel.stream_stream(HANDLE_EVENTS)(metadata=metadata)
        self._pending: dict[tuple[str, int], EndpointCall] = {}
        self._unsent: deque[EndpointCall] = deque()
        self._cancels: list[tuple[str, int]] = []
        self._abandoned: set[tuple[str, int]] = set()
        self._wake: asyncio.Future[None] | None = None
        self._writer = job("write to stream", self._write())
        self._reader = job("read from stream", self._read())

    def takes(self, call: EndpointCall) -> bool:
        """Whether it can carry this call: small enough, and no call of the same name in flight, as names
        identify results."""
        token = call.token
        return (
            not self.retiring
            and len(call.payload) < MAX_MESSAGE_BYTES
            and token not in self._pending
            and token not in self._abandoned
        )

    def send(self, call: EndpointCall) -> None:
        """Sends the call with the next message."""
        self._pending[call.token] = call
        self._unsent.append(call)
        self._rouse()

    def abandon(self, call: EndpointCall) -> bool:
        """Tells the endpoint that the result is not needed. False: the call had not been sent."""
        if self._pending.get(call.token) is not call:
            return True
        del self._pending[call.token]
        sent = call not in self._unsent
        if sent:
            self._cancels.append(call.token)
            self._abandoned.add(call.token)
            if len(self._abandoned) > MAX_ABANDONED:
                self.retiring = True
        else:
            self._unsent.remove(call)
        self._rouse()
        return sent

    def retire(self) -> None:
        """Takes no more calls; ends once those in flight are answered."""
        self.retiring = True
        self._rouse()

    async def close(self) -> None:
        """Breaks the stream; calls in flight count as cut."""
        self._rpc.cancel()
        await asyncio.gather(self._reader, self._writer, return_exceptions=True)

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _write(self) -> None:
        try:
            while True:
                if self._unsent or self._cancels:
                    await self._rpc.write(self._message())
                elif self.retiring and not self._pending:
                    await self._rpc.done_writing()
                    self._loop.call_later(FAREWELL_SECONDS, self._rpc.cancel)
                    return
                else:
                    self._wake = self._loop.create_future()
                    await self._wake
        except Exception:
            # The stream is over: gRPC has several errors for that. The reader reports which, unless it is cancelled
            # before it has the endpoint's status.
            self.retiring = True
            self._loop.call_later(STATUS_SECONDS, self._rpc.cancel)

    def _message(self) -> bytes:
        """The next HandleEventsRequest: the waiting calls, as far as one message has room."""
        payloads: list[bytes] = []
        size = 0
        while self._unsent and size + len(self._unsent[0].payload) <= MAX_MESSAGE_BYTES:
            payload = self._unsent.popleft().payload
            size += len(payload)
            payloads.append(payload)
        message = joined(payloads)
        if self._cancels:
            named = pb.HandleEventsRequest()
            for key, attempt in self._cancels[:MAX_CANCELS]:
                named.cancels.add(idempotency_key=key, attempt=attempt)
            del self._cancels[:MAX_CANCELS]
            message += named.SerializeToString()
        return message

    async def _read(self) -> None:
        status: grpc.StatusCode | None = None
        try:
            while (data := await self._rpc.read()) is not grpc.aio.EOF:
                self.spoke = True
                results = small_results(data)
                if results is not None:
                    for result in results:
                        self._take((result.idempotency_key, result.attempt), result)
                else:
                    async for found in results_of(data, self._messages):
                        if isinstance(found, Refused):
                            self._take(found.token, found.error)
                        else:
                            self._take((found.idempotency_key, found.attempt), found)
                if self.retiring and not self._pending:
                    self._rouse()
            code, self.message = await self._rpc.code(), await self._rpc.details() or ""
            status = None if code is grpc.StatusCode.OK else code
        except grpc.aio.AioRpcError as error:
            status, self.message = error.code(), error.details() or ""
        except DecodeError:
            status = grpc.StatusCode.DATA_LOSS
            _log.warning("stream_unreadable")
        except asyncio.CancelledError:
            status = grpc.StatusCode.CANCELLED
        except Exception:
            status = grpc.StatusCode.UNKNOWN
            _log.exception("stream_failed")
        finally:
            self.retiring = True
            self._rpc.cancel()
            self._writer.cancel()
            unsent = list(self._unsent)
            names = {call.token for call in unsent}
            sent = [call for token, call in self._pending.items() if token not in names]
            self._pending.clear()
            self._unsent.clear()
            self._ended(self, sent, unsent, status)

    def _take(self, token: Token, result: pb.HandleEventsResult | AttemptError) -> None:
        call = self._pending.pop(token, None)
        if call is None:
            self._abandoned.discard(token)
        else:
            self._answered(call, result)


def was_refused(status: grpc.StatusCode | None) -> bool:
    """Whether a stream was ended by a status that a live endpoint sent."""
    return status is not None and status not in PERHAPS_CUT
