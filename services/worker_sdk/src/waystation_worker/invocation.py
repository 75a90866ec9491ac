"""One call of one task: from the request to the answer, whatever the function does."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc

from waystation.v1 import task_handler_service_pb2
from waystation_worker.context import TaskContext
from waystation_worker.errors import Reject, RetryAfter
from waystation_worker.tasks import HostedTask
from waystation_worker.values import write_struct

logger = logging.getLogger("waystation_worker")

MAX_ANSWER_BYTES = 3_900_000
"""Below the 4 MB that a gRPC receiver accepts by default: a larger answer would be lost there after
the work was done, and again on each attempt."""

_MAX_TEXT_BYTES = 4096


class CallRefused(Exception):
    """The call ends with a gRPC status instead of an answer."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Invoker:
    """Calls the tasks of one service. `async` functions run on the loop, plain ones in threads."""

    def __init__(self, tasks: Mapping[str, HostedTask], service_name: str, threads: int) -> None:
        self._tasks = tasks
        self._service_name = service_name
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def call(
        self, request: task_handler_service_pb2.HandleEventRequest, limit: float | None
    ) -> task_handler_service_pb2.HandleEventResponse:
        """The task's answer; a failure is an answer too. `limit`: seconds that the caller gives.

        Raises CallRefused for a task that is not hosted here and for one that took too long.
        """
        task = self._find(request)
        context = TaskContext(request)
        seconds = _budget(task, request, limit)
        try:
            async with asyncio.timeout(seconds) as deadline:
                if task.is_async:
                    result = await task.function(context)
                else:
                    # What the function sets in context variables stays its own.
                    run = contextvars.copy_context().run
                    result = await asyncio.get_running_loop().run_in_executor(
                        self._executor(), run, task.function, context
                    )
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                context._cancelled = True
                raise
            return failed(request, error)
        except TimeoutError as error:
            if not deadline.expired():
                return failed(request, error)
            context._cancelled = True
            logger.warning("%s took longer than %.3g s", _label(request), seconds)
            raise CallRefused(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"task {task.task_id} took longer than {seconds:.3g} s; "
                "make it faster or raise its timeout",
            ) from None
        except (Exception, SystemExit) as error:
            return failed(request, error)
        return _answer(request, context, result)

    def call_blocking(
        self, request: task_handler_service_pb2.HandleEventRequest
    ) -> task_handler_service_pb2.HandleEventResponse:
        """As `call`, in this thread and without a time limit of its own."""
        task = self._find(request)
        if task.is_async:
            return asyncio.run(self.call(request, None))
        context = TaskContext(request)
        try:
            result = task.function(context)
        except (Exception, SystemExit) as error:
            return failed(request, error)
        return _answer(request, context, result)

    def close(self) -> None:
        """Lets the threads end; functions that still run are not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _find(self, request: task_handler_service_pb2.HandleEventRequest) -> HostedTask:
        task = self._tasks.get(request.task_id)
        if task is None:
            raise CallRefused(
                grpc.StatusCode.UNIMPLEMENTED,
                f"service {self._service_name} hosts no task {request.task_id!r}; "
                f"it hosts {', '.join(sorted(self._tasks)) or 'none'}",
            )
        return task

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "waystation-task")
        return self._pool


def _budget(
    task: HostedTask, request: task_handler_service_pb2.HandleEventRequest, limit: float | None
) -> float:
    """Seconds that this call may take."""
    seconds = task.timeout
    if limit is not None:
        seconds = max(0.0, min(seconds, limit))
    if request.HasField("deadline"):
        left = request.deadline.seconds + request.deadline.nanos / 1e9 - time.time()
        # One that is over on arrival tells that the clocks differ; the caller cancels by itself.
        if left > 0:
            seconds = min(seconds, left)
    return seconds


def _answer(
    request: task_handler_service_pb2.HandleEventRequest, context: TaskContext, result: object
) -> task_handler_service_pb2.HandleEventResponse:
    if result is not None:
        if inspect.iscoroutine(result):
            result.close()
        return _invalid(
            request,
            f"the function returned a {type(result).__name__}; it answers through ctx and "
            "returns None",
        )
    try:
        response = context._answer()
    except (TypeError, ValueError) as error:
        return _invalid(request, str(error))
    size = response.ByteSize()
    if size > MAX_ANSWER_BYTES:
        return _invalid(
            request,
            f"the answer has {size} bytes, and at most {MAX_ANSWER_BYTES} can travel; "
            "store large values elsewhere and keep a reference",
        )
    return response


def _invalid(
    request: task_handler_service_pb2.HandleEventRequest, problem: str
) -> task_handler_service_pb2.HandleEventResponse:
    return failed(request, Reject("RESPONSE_INVALID", f"task {request.task_id}: {problem}"))


def failed(
    request: task_handler_service_pb2.HandleEventRequest, error: BaseException
) -> task_handler_service_pb2.HandleEventResponse:
    """The answer for what a function raised. The traceback stays in the log of this process."""
    response = task_handler_service_pb2.HandleEventResponse()
    failure = response.failure
    if isinstance(error, (Reject, RetryAfter)):
        logger.info("%s: %s: %s", _label(request), error.reason, error.message)
        failure.reason = _clean(error.reason, 200)
        failure.message = _clean(error.message, _MAX_TEXT_BYTES)
        failure.permanent = isinstance(error, Reject)
        if isinstance(error, RetryAfter):
            failure.retry_after.FromTimedelta(timedelta(seconds=error.seconds))
        _write_details(request, error.metadata, failure)
    else:
        name = type(error).__name__
        logger.warning("%s raised %s", _label(request), name, exc_info=error)
        failure.reason = _clean(name, 200)
        failure.message = _clean(str(error) or name, _MAX_TEXT_BYTES)
    return response


def _write_details(
    request: task_handler_service_pb2.HandleEventRequest,
    metadata: Mapping[str, Any] | None,
    failure: task_handler_service_pb2.TaskFailure,
) -> None:
    if metadata is None:
        return
    try:
        write_struct(metadata, failure.metadata, "metadata")
    except (TypeError, ValueError) as error:
        failure.ClearField("metadata")
        logger.warning("%s: its failure's metadata is left out: %s", _label(request), error)


def _clean(text: str, limit: int) -> str:
    """Text that can travel and be stored, cut to so many bytes."""
    encoded = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    return encoded[:limit].decode("utf-8", "ignore")


def _label(request: task_handler_service_pb2.HandleEventRequest) -> str:
    return (
        f"task={request.task_id} attempt={request.attempt} "
        f"workflow={request.context.workflow_instance_id} event={request.event.event_id}"
    )
