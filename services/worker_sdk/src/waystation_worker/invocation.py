"""One call of one task: from the request to the answer, whatever the function does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from threading import current_thread, main_thread
from typing import Any

import grpc

from waystation.v1 import task_handler_service_pb2
from waystation_worker.context import TaskContext
from waystation_worker.failure_log import FailureLog, label
from waystation_worker.failures import failed, invalid, text_of
from waystation_worker.tasks import HostedTask
from waystation_worker.threads import NoThread, Raised, TaskThreads, Worker

logger = logging.getLogger("waystation_worker")

MAX_ANSWER_BYTES = 3_900_000
"""Below the 4 MB that a gRPC receiver accepts by default: a larger answer would be lost there after
the work was done, and again on each attempt."""

CALL_TIMED_OUT = "CALL_TIMED_OUT"
"""The reason of an attempt that timed out, as the router gives it."""
NOT_BEGUN = "NOT_BEGUN"
"""The reason of a refusal that does not count as an attempt: the task was not started."""
NOT_BEGUN_PAUSE = 1.0
"""Seconds for which routers pause the task here after such a refusal."""
LONGEST_WAIT_FOR_THREAD = 10.0
"""Seconds; half of the call's time if that is less."""


class CallRefused(Exception):
    """The call ends with a gRPC status instead of an answer. `reason` is its ErrorInfo's, if any;
    `retry_after` is in seconds."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.retry_after = retry_after


class Invoker:
    """Calls the tasks of one service. `async` functions run on the loop, plain ones in threads.

    Whatever a function does, its call ends with one answer or one CallRefused: it runs apart from
    who waits for it, in a thread or an asyncio task of its own, and what it raises comes back as a
    value. Only a KeyboardInterrupt on the loop's thread goes on: somebody ends the process.
    """

    def __init__(self, tasks: Mapping[str, HostedTask], service_name: str, threads: int) -> None:
        self._tasks = tasks
        self._service_name = service_name
        self._most_threads = threads
        self._threads: TaskThreads | None = None
        self._running: dict[asyncio.Task[object], str] = {}
        self._log = FailureLog()

    async def call(
        self, request: task_handler_service_pb2.HandleEventRequest, limit: float | None
    ) -> task_handler_service_pb2.HandleEventResponse:
        """The task's answer; a failure is an answer too. `limit`: seconds that the caller gives.

        Raises CallRefused for a task that is not hosted here, for one that took too long, and with
        the reason NOT_BEGUN for one that got no thread.
        """
        task = self._find(request)
        try:
            context = TaskContext(request)
            seconds = _budget(task, request, limit)
        except Exception as error:
            return failed(request, error, self._log)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if task.is_async:
            running = loop.create_task(_guarded(task.function, context))
            self._running[running] = task.task_id
            running.add_done_callback(self._running.pop)
            answer: asyncio.Future[object] = running
            give_up: Callable[[], object] = running.cancel
        else:
            worker = await self._thread(request, task, seconds)
            answer = worker.start(task.function, context, task.task_id)
            give_up = partial(self._pool().give_up, worker)
        try:
            await asyncio.wait((answer,), timeout=max(end - loop.time(), 0.0))
        except asyncio.CancelledError:
            context._cancelled = True
            give_up()
            raise
        if not answer.done():
            context._cancelled = True
            give_up()
            logger.warning("%s took longer than %.3g s", label(request), seconds)
            raise CallRefused(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"task {task.task_id} took longer than {round(seconds, 2):.15g} s; "
                "make it faster or increase its timeout",
                reason=CALL_TIMED_OUT,
            )
        if answer.cancelled():
            by_others = asyncio.CancelledError("the task was cancelled by other code")
            return failed(request, by_others, self._log)
        return self._answer(request, task, context, answer.result())

    def call_blocking(
        self, request: task_handler_service_pb2.HandleEventRequest
    ) -> task_handler_service_pb2.HandleEventResponse:
        """As `call`, in this thread and without a time limit of its own."""
        task = self._find(request)
        if task.is_async:
            return asyncio.run(self.call(request, None))
        try:
            context = TaskContext(request)
        except Exception as error:
            return failed(request, error, self._log)
        try:
            outcome = task.function(context)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
                raise
            outcome = Raised(error)
        return self._answer(request, task, context, outcome)

    def unfinished(self) -> list[str]:
        """The tasks whose functions still run, wanted or not; one as often as it runs."""
        threads = self._threads.unfinished() if self._threads is not None else []
        return sorted([*threads, *self._running.values()])

    def refuse(self) -> None:
        """Calls that wait for a thread, and new ones, are not begun any more."""
        self._pool().refuse()

    def close(self) -> None:
        """Lets the threads end; functions that still run are not waited for."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None

    async def _thread(
        self,
        request: task_handler_service_pb2.HandleEventRequest,
        task: HostedTask,
        seconds: float,
    ) -> Worker:
        # A call that begins has at least half of its time; one that cannot begin goes to another endpoint.
        timeout = min(seconds / 2, LONGEST_WAIT_FOR_THREAD)
        try:
            return await self._pool().take(timeout)
        except NoThread as why:
            logger.warning("%s was not begun: %s", label(request), why)
            raise CallRefused(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"task {task.task_id} was not started: {why}; make tasks finish in time, or give the "
                "service more threads or more replicas",
                reason=NOT_BEGUN,
                retry_after=NOT_BEGUN_PAUSE,
            ) from None

    def _pool(self) -> TaskThreads:
        if self._threads is None:
            self._threads = TaskThreads(self._most_threads)
        return self._threads

    def _answer(
        self,
        request: task_handler_service_pb2.HandleEventRequest,
        task: HostedTask,
        context: TaskContext,
        outcome: object,
    ) -> task_handler_service_pb2.HandleEventResponse:
        if isinstance(outcome, Raised):
            return failed(request, outcome.error, self._log, task.function)
        if outcome is not None:
            wanted = "it must answer through ctx and return None"
            if inspect.iscoroutine(outcome):
                outcome.close()
                wanted = "await it in an `async def`"
            kind = type(outcome).__name__
            return invalid(request, f"the function returned a {kind}; {wanted}")
        try:
            response = context._answer()
            size = response.ByteSize()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Values are the task's own objects, whose conversion may do anything.
            return invalid(request, text_of(error))
        if size > MAX_ANSWER_BYTES:
            return invalid(
                request,
                f"the answer has {size} bytes, the limit is {MAX_ANSWER_BYTES}; "
                "store large values elsewhere and send a reference",
            )
        return response

    def _find(self, request: task_handler_service_pb2.HandleEventRequest) -> HostedTask:
        task = self._tasks.get(request.task_id)
        if task is None:
            raise CallRefused(
                grpc.StatusCode.UNIMPLEMENTED,
                f"service {self._service_name} hosts no task {request.task_id!r}; "
                f"it hosts {', '.join(sorted(self._tasks)) or 'none'}",
            )
        return task


async def _guarded(function: Callable[[Any], Any], context: TaskContext) -> object:
    """What the function returned, or Raised. It has an asyncio task of its own, which it may cancel."""
    try:
        return await function(context)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Raised(error)


def _budget(
    task: HostedTask, request: task_handler_service_pb2.HandleEventRequest, limit: float | None
) -> float:
    """Seconds that this call may take."""
    seconds = task.timeout
    if limit is not None:
        seconds = max(0.0, min(seconds, limit))
    if request.HasField("deadline"):
        left = request.deadline.seconds + request.deadline.nanos / 1e9 - time.time()
        # A deadline that has passed on arrival shows that the clocks differ; the caller cancels on its own.
        if left > 0:
            seconds = min(seconds, left)
    return seconds
