"""What is kept for later, and numbers that may have been rounded, in what tasks answer."""

from __future__ import annotations

from typing import Any

import pytest
from support.doors import json_doors, metadata_doors, prepared

from waystation.v1.result_pb2 import TaskFailure
from waystation.v1.task_handler_service_pb2 import HandleEventResponse
from waystation_conversion.replies import failure_from_proto, reply_from_proto
from waystation_domain.outcomes import AttemptError

_KIND = HandleEventResponse.DESCRIPTOR
# A failure counts whatever its details are: they are left out.
JSON = [door for door in json_doors(_KIND) if not door[0].startswith("failure.")]
METADATA = [door for door in metadata_doors(_KIND) if not door[0].startswith("failure.")]


def _refused(write: Any, value: Any) -> dict[str, Any]:
    answer = prepared(HandleEventResponse())
    write(answer, value)
    error = reply_from_proto(answer)  # type: ignore[arg-type]
    assert isinstance(error, AttemptError)
    assert (error.reason, error.permanent) == ("RESPONSE_INVALID", True)
    return dict(error.metadata or {})


def test_the_doors_are_all_there() -> None:
    last = {place.rpartition(".")[2] for place, _ in JSON}
    assert {"payload", "set", "append", "add_to_set", "data_patch", "data"} <= last
    assert {"input_schema", "output"} <= last
    assert len(METADATA) >= 3


@pytest.mark.parametrize(("place", "write"), JSON, ids=[place for place, _ in JSON])
@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [{"$waystation.int": "1"}]}, "/a/0/$waystation.int"),
        ({"a": {"b": [1, -(2.0**53)]}}, "/a/b/1"),
        ({"a": 1e20}, "/a"),
    ],
    ids=["member", "number", "large"],
)
def test_json_is_refused_by_place(place: str, write: Any, value: Any, where: str) -> None:
    found = _refused(write, value)
    assert (found["rule"], found["path"]) == ("INVALID_STRUCT", where)
    assert place.endswith(found["field"].rpartition(".")[2])


@pytest.mark.parametrize(("place", "write"), METADATA, ids=[place for place, _ in METADATA])
def test_metadata_is_refused_by_key(place: str, write: Any) -> None:
    found = _refused(write, {"waystation-parent": "x"})
    assert (found["rule"], found["key"]) == ("INVALID_FIELD", "waystation-parent")


@pytest.mark.parametrize(
    ("metadata", "where"), [({"$waystation.blob": "x"}, "$waystation.blob"), ({"n": 2.0**60}, "/n")]
)
def test_a_failure_counts_without_its_details(metadata: dict[str, Any], where: str) -> None:
    failure = TaskFailure(reason="NO_PLATE")
    failure.metadata.update(metadata)
    error = failure_from_proto(failure)
    assert error.reason == "NO_PLATE"
    assert error.metadata is not None
    assert where in str(error.metadata["left_out"])
