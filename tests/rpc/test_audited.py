"""The table of audited methods is complete, and names fields that exist and hold nothing secret."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool
from rpc.test_roles import methods_of_the_contract

from waystation_core.rpc.audited import AUDITED, NOT_AUDITED
from waystation_core.rpc.unknown_fields import changes_something


def test_every_method_that_changes_something_is_audited_or_has_a_reason() -> None:
    changing = {method for method in methods_of_the_contract() if changes_something(method)}
    assert AUDITED.keys() | NOT_AUDITED == changing
    assert not AUDITED.keys() & NOT_AUDITED


PLACES = [(method, path) for method, paths in AUDITED.items() for path in paths]


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_a_target_is_an_id_or_a_name(method: str, path: str) -> None:
    service, _, name = method.removeprefix("/").partition("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    message = found.input_type
    *outer, last = path.split(".")
    for part in outer:
        message = message.fields_by_name[part].message_type
    field = message.fields_by_name[last]
    # A message could hold anything: only whether it is there is recorded, such as `all`.
    assert field.message_type is None or not field.message_type.fields
    assert field.type != field.TYPE_BYTES
