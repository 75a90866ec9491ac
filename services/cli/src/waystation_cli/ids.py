"""Ids as people type them: whole, by a beginning that only one has, by the end of a generated id that only one has
(generated ids of one minute begin alike), or as @last, the newest one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import grpc

from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import ListDeadLettersRequest, ListDeadLettersResponse
from waystation.v1.handler_registry_service_pb2 import ListHandlersRequest, ListHandlersResponse
from waystation.v1.workflow_service_pb2 import (
    FindWorkflowIdsRequest,
    FindWorkflowIdsResponse,
    ListWorkflowsRequest,
    ListWorkflowsResponse,
)
from waystation_cli.completion import LAST
from waystation_cli.connection import CALL_SECONDS, Api
from waystation_cli.failures import CommandFailed

_SHOWN = 5
"""Of several that are meant."""

_UUID_CHARACTERS = 36
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_FEWEST = 4
"""Characters of an end."""

_NEWEST = 1000
"""Ids whose ends are compared: the server finds ids by their beginning only."""


def workflow(api: Api, given: str) -> str:
    """The workflow that is meant; one that nobody knows as it was given, for the server to refuse."""
    if given == LAST:
        newest: ListWorkflowsResponse = api.workflows.ListWorkflows(
            ListWorkflowsRequest(page_size=1), timeout=CALL_SECONDS
        )
        return _newest([each.workflow_instance_id for each in newest.workflows], "workflow")
    try:
        found: FindWorkflowIdsResponse = api.workflows.FindWorkflowIds(
            FindWorkflowIdsRequest(prefix=given, limit=_SHOWN), timeout=CALL_SECONDS
        )
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            return given
        raise
    if not found.workflow_instance_ids and _may_be_an_end(given):
        newest = api.workflows.ListWorkflows(
            ListWorkflowsRequest(page_size=_NEWEST), timeout=CALL_SECONDS
        )
        known = [each.workflow_instance_id for each in newest.workflows]
        return _only(given, _ending(known, given), False, "workflows")
    return _only(given, found.workflow_instance_ids, found.more, "workflows")


def workflow_to_change(api: Api, given: str) -> str:
    """The same for what changes one: an id that somebody chose must be whole. `order-1`, which does not exist, must
    not end `order-12`."""
    meant = workflow(api, given)
    if meant == given or given == LAST or _UUID.fullmatch(meant):
        return meant
    raise CommandFailed(
        code="NOT_FOUND",
        reason="WORKFLOW_NOT_FOUND",
        message=f"There is no workflow {given}.",
        hint=f"If you mean {meant}, type all of it: what changes a workflow takes an id that was chosen only whole.",
        metadata={"workflow_instance_id": given, "known": meant},
    )


def dead_letter(api: Api, given: str) -> str:
    """The dead letter that is meant; only open ones go by their beginning or their end."""
    if given == LAST:
        known = _open_dead_letters(api, DeadLetterFilter(), 1)
        return _newest(known, "open dead letter")
    if not _may_be_cut(given):
        return given
    known = _open_dead_letters(api, DeadLetterFilter(id_prefix=given), _SHOWN + 1)
    if not known and _may_be_an_end(given):
        known = _ending(_open_dead_letters(api, DeadLetterFilter(), _NEWEST), given)
    return _only(given, known, False, "open dead letters")


def _open_dead_letters(api: Api, chosen: DeadLetterFilter, most: int) -> list[str]:
    found: ListDeadLettersResponse = api.dead_letters.ListDeadLetters(
        ListDeadLettersRequest(filter=chosen, page_size=most), timeout=CALL_SECONDS
    )
    return [each.dead_letter_id for each in found.dead_letters]


def handler(api: Api, given: str) -> str:
    """The endpoint that is meant."""
    if not _may_be_cut(given):
        return given
    found: ListHandlersResponse = api.handlers.ListHandlers(
        ListHandlersRequest(page_size=1000), timeout=CALL_SECONDS
    )
    every = [each.handler_id for each in found.handlers]
    known = [each for each in every if each.startswith(given)] or _ending(every, given)
    return _only(given, known, False, "endpoints")


def all_clear(given: Sequence[str], meant: Callable[[str], str]) -> list[str]:
    """The whole ids, each once, known before anything is done: what one of them means must not depend on what was
    done with another, and if one is not clear, nothing is done."""
    return list(dict.fromkeys(meant(each) for each in given))


def may_be_a_uuid(given: str) -> bool:
    """Whether it can be a part of a generated id."""
    return len(given) <= _UUID_CHARACTERS and re.fullmatch("[0-9a-f][0-9a-f-]*", given) is not None


def _may_be_an_end(given: str) -> bool:
    return _may_be_cut(given) and len(given) >= _FEWEST


def _ending(known: Sequence[str], given: str) -> list[str]:
    """Those generated ids that end so. An id that somebody chose is never meant by its end: `order-7` that does not
    exist must not mean `reorder-7`."""
    return [each for each in known if each.endswith(given) and _UUID.fullmatch(each)]


def _may_be_cut(given: str) -> bool:
    """Whether it can be a part of one; a whole id need not be looked up."""
    return may_be_a_uuid(given) and len(given) < _UUID_CHARACTERS


def _newest(known: Sequence[str], what: str) -> str:
    if not known:
        raise CommandFailed(
            code="NOT_FOUND", reason="NOTHING_IS_LAST", message=f"There is no {what}."
        )
    return known[0]


def _only(given: str, known: Sequence[str], more: bool, what: str) -> str:
    if given in known or not known:
        return given
    if len(known) == 1:
        return known[0]
    told = ", ".join(known[:_SHOWN]) + (" and others" if more or len(known) > _SHOWN else "")
    raise CommandFailed(
        code="INVALID_ARGUMENT",
        reason="ID_IS_AMBIGUOUS",
        message=f"Several {what} have ids that begin or end with {given}: {told}.",
        hint="Type more of the id.",
        metadata={"prefix": given},
    )
