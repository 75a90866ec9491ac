"""One connected endpoint: sends calls to it, and finds for each whether it was answered, failed, was cut, or
was never sent. What that shows of the endpoint is its `condition`."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

import grpc
import structlog

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_conversion.replies import readable
from waystation_conversion.statuses import error_of_code
from waystation_core.background import job
from waystation_core.identity.signatures import Metadata, Signatures
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import (
    Answered,
    Failed,
    NotSent,
    Sent,
    error_of_status,
    invalid_answer,
    late,
    pause_of_not_begun,
    read_answer,
    refuses_caller,
)
from waystation_core.rpc.endpoint_channels import HANDLE_EVENT
from waystation_core.rpc.message_reader import MessageReader
from waystation_domain.endpoints import Allowlist
from waystation_domain.outcomes import AttemptError
from waystation_domain.task_table import announces
from waystation_domain.units import duration
from waystation_router.endpoints.condition import EndpointCondition
from waystation_router.endpoints.connection import Connection
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_router.endpoints.outcomes import (
    PERHAPS_CUT,
    CallCut,
    error_of_item,
    is_fault_of_endpoint,
)
from waystation_router.endpoints.stream import EventStream, was_refused
from waystation_tls import ClientCredentials

NEWS_SECONDS = 0.02
"""How long the report of a lost connection may take after the first call that noticed."""
STREAM_PAUSE_SECONDS = 5.0
UNSERVED_SECONDS = 5.0
_MOST_OF_REFUSAL = 300
"""Characters."""

_UNIMPLEMENTED: int = grpc.StatusCode.UNIMPLEMENTED.value[0]

_log = structlog.get_logger(__name__)


class ConnectedEndpoint:
    """Sends calls to one endpoint. `again` gets calls that another endpoint may have instead."""

    def __init__(
        self,
        endpoint: Registration,
        allowlist: Allowlist,
        *,
        reader: MessageReader,
        signatures: Signatures,
        tls: ClientCredentials | None = None,
        again: Callable[[EndpointCall], None],
        changed: Callable[[], None],
    ) -> None:
        self.endpoint = endpoint
        self._reader = reader
        self._signatures = signatures
        self._again = again
        self._calls: set[EndpointCall] = set()
        self._loop = asyncio.get_running_loop()
        self._batching = _batching(endpoint)
        self._streams = True
        """False once the endpoint answered that it does not serve HandleEvents."""
        self._no_stream_until = 0.0
        self._stream: EventStream | None = None
        self._old_streams: set[EventStream] = set()
        self._unary: dict[EndpointCall, asyncio.Task[None]] = {}
        self._idle: asyncio.Future[None] | None = None
        self.connection = Connection(
            endpoint.host,
            endpoint.port,
            allowlist,
            streams=bool(self._batching),
            static=endpoint.static,
            tls=tls,
            lost=self._lost,
            changed=changed,
        )
        self.condition = EndpointCondition(self.connection, lambda: self.endpoint.tasks, changed)

    def hosts(self, call: EndpointCall) -> bool:
        """Whether the endpoint itself declared the call's task for its types."""
        return announces(self.endpoint.tasks, call.task_id, call.event_type, call.workflow_type)

    @property
    def in_flight(self) -> int:
        """The number of calls without an answer."""
        return len(self._calls)

    def oldest_calls(self, most: int) -> list[list[str]]:
        """[event_id, task_id] of the calls without an answer that began first."""
        oldest = heapq.nsmallest(most, self._calls, key=lambda call: call.sent_at)
        return [[call.event_id, call.task_id] for call in oldest]

    def update(self, endpoint: Registration) -> None:
        """The same address, perhaps with a new process that has other tasks."""
        known, self.endpoint = self.endpoint, endpoint
        if _declared(endpoint) != _declared(known):
            self._batching = _batching(endpoint)
            self._streams = True
            self._no_stream_until = 0.0
            self.condition.renewed()
            self.connection.connect_now()

    # --- carrying calls --------------------------------------------------------------------------

    def take(self, call: EndpointCall) -> None:
        """Sends the call; its outcome follows."""
        call.carrier = self
        call.sent_at = self._loop.time()
        self._calls.add(call)
        self.condition.sent(call.task_id)
        if self._streams and call.task_id in self._batching and not call.alone:
            stream = self._open_stream()
            if stream is not None and stream.takes(call):
                call.timer = self._loop.call_later(call.timeout, self._expire, call)
                stream.send(call)
                return
        channel = self.connection.channel
        if channel is None:
            self._repeat(call)
            return
        self._unary[call] = job("call", self._call(call, channel))

    def release(self, call: EndpointCall) -> None:
        """See Carrier."""
        self._calls.discard(call)
        if not self._calls and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def abandon(self, call: EndpointCall) -> None:
        """See Carrier."""
        task = self._unary.get(call)
        if task is not None:
            task.cancel()
            return
        for stream in (self._stream, *self._old_streams):
            if stream is not None:
                stream.abandon(call)

    def _end(self, call: EndpointCall, outcome: Answered | Failed | CallCut) -> None:
        """Sets the outcome of the call; the circuit is updated first."""
        try:
            if is_fault_of_endpoint(outcome):
                self.condition.failed(_described(outcome), call.sent_at)
            else:
                self.condition.answered()
        finally:
            call.end(outcome)

    def _end_unexpected(self, call: EndpointCall, fault: Exception) -> None:
        """An internal fault. It counts as an attempt, so that a fault that always occurs does not repeat for
        ever."""
        _log.error("call_failed", endpoint=self.name, exc_info=fault)
        error = error_of_code(
            grpc.StatusCode.INTERNAL,
            "The router could not read the response; see its log.",
        )
        call.end(Failed(error, self.endpoint, self._loop.time() - call.sent_at))

    def _repeat(self, call: EndpointCall) -> None:
        call.leave()
        self._again(call)

    def _unserved_here(self, call: EndpointCall) -> None:
        """The endpoint does not host the task after all: its fault, and another endpoint is tried."""
        self.connection.last_error = f"returned UNIMPLEMENTED for {call.task_id}"
        self._pause_task(call, UNSERVED_SECONDS)

    def _not_begun(self, call: EndpointCall, pause: float, why: str) -> None:
        """The endpoint had no room for the call and began nothing: another endpoint is tried."""
        _log.info("call_not_begun", endpoint=self.name, task_id=call.task_id, pause=pause)
        self.condition.had_no_room(why[:200])
        self._pause_task(call, pause)

    def _refused_caller(self, call: EndpointCall, why: str) -> None:
        """The endpoint does not know this router and began nothing: another endpoint is tried."""
        self.condition.refused_caller(readable(why, _MOST_OF_REFUSAL))
        call.tried.add(self)
        self._repeat(call)

    def _pause_task(self, call: EndpointCall, seconds: float) -> None:
        """Pauses the call's task here for a while; others may have the call."""
        self.condition.pause_task(call.task_id, seconds)
        call.tried.add(self)
        self._repeat(call)

    def _expire(self, call: EndpointCall) -> None:
        call.timer = None
        sent = all(
            stream.abandon(call)
            for stream in (self._stream, *self._old_streams)
            if stream is not None
        )
        if sent:
            self._end(call, Failed(late(call.timeout), self.endpoint, call.timeout))
        else:
            why = f"{self.name} did not accept the call within {duration(call.timeout)}"
            self.condition.failed(why, call.sent_at)
            call.end(NotSent(why))

    # --- over a stream ---------------------------------------------------------------------------

    def _open_stream(self) -> EventStream | None:
        stream = self._stream
        if stream is not None:
            if not stream.retiring:
                return stream
            # It ends on its own, once its calls are answered.
            self._old_streams.add(stream)
            self._stream = None
        channel = self.connection.channel
        if channel is None or self._no_stream_until > self._loop.time():
            return None
        if self.condition.refuses_router:
            # Asked by a single call, which always has the endpoint's status. A stream that is refused while its first
            # message is written may have one of gRPC instead, and then its calls count as cut.
            return None
        self._stream = EventStream(
            channel,
            reader=self._reader,
            answered=self._answered,
            ended=self._stream_ended,
            metadata=self._signature(),
        )
        return self._stream

    def _answered(self, call: EndpointCall, result: pb.HandleEventsResult | AttemptError) -> None:
        try:
            self._take_result(call, result)
        except Exception as fault:
            # The other calls on the stream are not affected.
            self._end_unexpected(call, fault)

    def _take_result(
        self, call: EndpointCall, result: pb.HandleEventsResult | AttemptError
    ) -> None:
        duration = self._loop.time() - call.sent_at
        if isinstance(result, AttemptError):
            self._end(call, Failed(result, self.endpoint, duration))
            return
        kind = result.WhichOneof("outcome")
        if kind == "response":
            self._end(call, Answered(result.response, self.endpoint, duration))
        elif kind is None:
            error = invalid_answer("a result with neither a response nor an error")
            self._end(call, Failed(error, self.endpoint, duration))
        elif result.error.code == _UNIMPLEMENTED:
            self._unserved_here(call)
        else:
            self._refused(call, error_of_item(result.error), duration)

    def _stream_ended(
        self,
        stream: EventStream,
        sent: list[EndpointCall],
        unsent: list[EndpointCall],
        status: grpc.StatusCode | None,
    ) -> None:
        if self._stream is stream:
            self._stream = None
        self._old_streams.discard(stream)
        if status is grpc.StatusCode.UNIMPLEMENTED and not stream.spoke:
            _log.warning("batching_not_served", endpoint=self.name)
            self._streams = False
            unsent, sent = sent + unsent, []
        elif status is grpc.StatusCode.UNAUTHENTICATED and not stream.spoke:
            for call in sent + unsent:
                self._refused_caller(call, stream.message)
            return
        elif not stream.spoke and (sent or unsent):
            # Streams do not work there; unary calls will show what does.
            self._no_stream_until = self._loop.time() + STREAM_PAUSE_SECONDS
        if sent:
            how = f" with {status.name}" if status is not None and was_refused(status) else ""
            message = f"the stream to {self.name} broke{how} during the call"
            self.connection.last_error = message
            _log.warning("stream_broke_off", endpoint=self.name, cut=len(sent), unsent=len(unsent))
            now = self._loop.time()
            for call in sent:
                self._end(call, CallCut(message, self.endpoint, now - call.sent_at))
        for call in unsent:
            self._repeat(call)

    # --- one by one ------------------------------------------------------------------------------

    async def _call(self, call: EndpointCall, channel: grpc.aio.Channel) -> None:
        try:
            await self._exchange(call, channel)
        except Exception as fault:
            self._end_unexpected(call, fault)
        finally:
            self._unary.pop(call, None)

    async def _exchange(self, call: EndpointCall, channel: grpc.aio.Channel) -> None:
        losses = self.connection.losses
        # Bytes both ways: encoded once, and an unreadable answer is handled here.
        method: Any = channel.unary_unary(HANDLE_EVENT)
        rpc = method(call.payload, timeout=call.timeout, metadata=self._signature())
        try:
            data = await rpc
        except asyncio.CancelledError:
            rpc.cancel()
            # A cancelled call has its outcome already, except when the loop ends.
            call.leave()
            raise
        except grpc.aio.AioRpcError as status:
            await self._failed(call, status, losses)
        else:
            duration = self._loop.time() - call.sent_at
            answer = await read_answer(data, self._reader)
            if isinstance(answer, AttemptError):
                self._end(call, Failed(answer, self.endpoint, duration))
            else:
                self._end(call, Answered(answer, self.endpoint, duration))

    async def _failed(self, call: EndpointCall, status: grpc.aio.AioRpcError, losses: int) -> None:
        code = status.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self._unserved_here(call)
            return
        duration = self._loop.time() - call.sent_at
        if code in PERHAPS_CUT and await self._was_lost(losses):
            message = f"the connection to {self.name} was lost during the call"
            self.connection.last_error = message
            self._end(call, CallCut(message, self.endpoint, duration))
            return
        trailing = status.trailing_metadata() or ()
        sent = Sent(len(call.payload), call.timeout, duration)
        self._refused(call, error_of_status(code, status.details() or "", trailing, sent), duration)

    def _refused(self, call: EndpointCall, error: AttemptError, duration: float) -> None:
        """The endpoint ended the call with a status."""
        pause = pause_of_not_begun(error)
        if refuses_caller(error):
            self._refused_caller(call, error.message)
        elif pause is None:
            self._end(call, Failed(error, self.endpoint, duration))
        else:
            self._not_begun(call, pause, error.message)

    def _signature(self) -> Metadata | None:
        """Shows the endpoint that a router is calling."""
        return self._signatures.of_calls(self.endpoint.service_name, self.endpoint.namespace)

    async def _was_lost(self, losses: int) -> bool:
        """Whether the connection was lost since. A handler that answers such a status itself keeps it; the
        report of a loss can arrive a moment after the call that noticed."""
        if self.connection.losses == losses and self.connection.is_ready():
            await asyncio.sleep(NEWS_SECONDS)
        return self.connection.losses != losses or not self.connection.is_ready()

    # --- the end ---------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The address, for people."""
        return self.connection.name

    def _lost(self) -> None:
        """The connection was lost, or is about to be: a stream on it takes no more calls."""
        if self._stream is not None:
            self._stream.retire()
            self._old_streams.add(self._stream)
            self._stream = None

    async def drain(self, grace: float) -> None:
        """Lets calls in flight end within `grace` seconds, cancels the others and closes. It gets no new
        calls: the directory has removed it."""
        if self._calls and grace > 0.0:
            self._idle = self._loop.create_future()
            try:
                async with asyncio.timeout(grace):
                    await self._idle
            except TimeoutError:
                _log.warning("calls_given_up", endpoint=self.name, calls=self.in_flight)
        for call in list(self._calls):
            call.cancel()
        streams = [stream for stream in (self._stream, *self._old_streams) if stream is not None]
        for stream in streams:
            await stream.close()
        await asyncio.gather(*self._unary.values(), return_exceptions=True)
        await self.connection.close()


def _described(outcome: Answered | Failed | CallCut) -> str:
    if isinstance(outcome, Failed):
        return f"{outcome.error.reason}: {outcome.error.message}"[:200].rstrip(".")
    return outcome.message if isinstance(outcome, CallCut) else ""


def _declared(endpoint: Registration) -> object:
    """What changes if a process registers, and not if it only renews."""
    return endpoint.handler_id, endpoint.registered_at, endpoint.service_version, endpoint.tasks


def _batching(endpoint: Registration) -> frozenset[str]:
    return frozenset(spec.task_id for spec in endpoint.tasks if spec.batching)
