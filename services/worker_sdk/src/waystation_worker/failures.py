"""The answer for an exception of a task, whatever it is: a failure with its name and its text."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from waystation.v1 import result_pb2, task_handler_service_pb2
from waystation_worker.errors import Reject, RetryAfter
from waystation_worker.failure_log import FailureLog, label
from waystation_worker.tracked_changes import View
from waystation_worker.values import Model, write_struct

logger = logging.getLogger("waystation_worker")

MAX_TEXT_BYTES = 4096
_VIEWS = re.compile(r"\b(DataObject|DataList)\b")
_NOT_PLAIN = (
    "ctx.data and the objects and lists in it are no dict and list; pass a plain copy of them: "
    "ctx.data.to_dict(), or to_list() of a list"
)
_MEMBERS = 'members are items: ctx.data["amount"]; its methods are those of a dict or a list'
_MAX_NAMED = 5
"""How many members of an exception group are named."""


def failed(
    request: task_handler_service_pb2.HandleEventRequest,
    error: BaseException,
    log: FailureLog,
    function: Callable[..., Any] | None = None,
) -> task_handler_service_pb2.HandleEventResponse:
    """The answer for an exception of a call of this function. The traceback stays in the log of this process.
    Never raises: an exception is code of the task too, even its text."""
    response = task_handler_service_pb2.HandleEventResponse()
    if isinstance(error, (Reject, RetryAfter)):
        try:
            _write_requested(request, error, response.failure)
            return response
        except BaseException:
            # A failure without its text, which could not be made.
            response.Clear()
            response.failure.permanent = isinstance(error, Reject)
    name = type(error).__name__
    text = clean(_with_hint(error, _failure_of(error)), MAX_TEXT_BYTES)
    try:
        log.write(request, function, error, text)
    except BaseException:
        # Its class is the task's own, too.
        logger.warning("%s raised %s, which could not be logged", label(request), name)
    response.failure.reason = clean(name, 200)
    response.failure.message = text or clean(name, MAX_TEXT_BYTES)
    return response


def invalid(
    request: task_handler_service_pb2.HandleEventRequest, problem: str
) -> task_handler_service_pb2.HandleEventResponse:
    """The answer for an invalid answer; a retry cannot help."""
    response = task_handler_service_pb2.HandleEventResponse()
    message = clean(f"task {request.task_id}: {problem}", MAX_TEXT_BYTES)
    logger.warning("%s: its answer is invalid: %s", label(request), " ".join(problem.split()))
    response.failure.reason = "RESPONSE_INVALID"
    response.failure.message = message
    response.failure.permanent = True
    return response


def text_of(error: BaseException) -> str:
    """The text of an exception; if it cannot be made, why."""
    try:
        return str(error)
    except BaseException as fault:
        return f"its text is not available: __str__ raised {type(fault).__name__}"


def clean(text: str, limit: int) -> str:
    """Text that can be sent and stored, cut to so many bytes."""
    encoded = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    return encoded[:limit].decode("utf-8", "ignore")


def _failure_of(error: BaseException) -> str:
    if not isinstance(error, BaseExceptionGroup):
        return text_of(error)
    try:
        members = list(_members(error))
    except BaseException:
        return text_of(error)
    named = [f"{type(one).__name__}: {text_of(one)}" for one in members[:_MAX_NAMED]]
    more = f"; {len(members) - _MAX_NAMED} more" if len(members) > _MAX_NAMED else ""
    return f"{text_of(error)}: {'; '.join(named)}{more}"


def _with_hint(error: BaseException, says: str) -> str:
    """The text of a library that met a view of `ctx.data` where it takes plain values only, with what to do."""
    if isinstance(error, AttributeError):
        return f"{says} ({_MEMBERS})" if isinstance(error.obj, View) else says
    if _VIEWS.search(says) is None:
        return says
    return f"{says} ({_NOT_PLAIN})"


def _members(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions in groups within groups."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _members(one)
        else:
            yield one


def _write_requested(
    request: task_handler_service_pb2.HandleEventRequest,
    error: Reject | RetryAfter,
    failure: result_pb2.TaskFailure,
) -> None:
    """What the task requested by raising Reject or RetryAfter."""
    logger.info("%s: %s: %s", label(request), error.reason, error.message)
    failure.reason = clean(error.reason, 200)
    failure.message = clean(error.message, MAX_TEXT_BYTES)
    failure.permanent = isinstance(error, Reject)
    if isinstance(error, RetryAfter):
        failure.retry_after.FromTimedelta(timedelta(seconds=error.seconds))
    _write_details(request, error.metadata, failure)


def _write_details(
    request: task_handler_service_pb2.HandleEventRequest,
    metadata: Mapping[str, Any] | Model | None,
    failure: result_pb2.TaskFailure,
) -> None:
    if metadata is None:
        return
    try:
        write_struct(metadata, failure.metadata, "metadata")
    except Exception as error:
        failure.ClearField("metadata")
        logger.warning("%s: its failure's metadata is left out: %s", label(request), text_of(error))
