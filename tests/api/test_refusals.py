"""A flood of refused calls costs a few rows and little memory, and none of it is forgotten without a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from waystation_api.audit import refusals
from waystation_api.audit.entries import denied_entry
from waystation_api.audit.refusals import Refusals
from waystation_core.identity.access import Denial
from waystation_core.ports.store import AuditEntry, AuditFilter, StoredAuditEntry, WriteRefused
from waystation_core.rpc.peers import peer_address
from waystation_domain.errors import StoreUnavailable, Unauthenticated


class Log:
    """An audit log that may be away, and the clock."""

    def __init__(self) -> None:
        self.written: list[AuditEntry] = []
        self.away = False
        self.now = 100.0

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        if any(entry.reason == "NOT STORABLE" for entry in entries):
            raise WriteRefused("UniqueViolation")
        if self.away:
            raise StoreUnavailable("away")
        self.written += entries

    async def entries(
        self, filter: AuditFilter, *, after: object, limit: int
    ) -> Sequence[StoredAuditEntry]:
        return ()

    def refusals(self) -> Refusals:
        return Refusals(self, lambda: self.now)


def denied(who: str = "token:eve", method: str = "CancelWorkflow", peer: str = "") -> AuditEntry:
    return AuditEntry(who, method, peer=peer, code="PERMISSION_DENIED", reason="PERMISSION_DENIED")


async def test_a_flood_is_a_few_rows_and_a_number() -> None:
    there = Log()
    taken = there.refusals()
    for number in range(10_000):
        taken.add(denied(peer=f"10.0.0.{number}"))
    await taken.turn()
    assert [entry.calls for entry in there.written] == [1] * refusals.OWN_ENTRIES
    there.now += refusals.WINDOW_SECONDS
    await taken.turn()
    summary = there.written[-1]
    assert len(there.written) == refusals.OWN_ENTRIES + 1
    assert summary.calls == 10_000 - refusals.OWN_ENTRIES
    assert summary.peer == f"10.0.0.{refusals.OWN_ENTRIES}"
    # The next window begins anew.
    taken.add(denied())
    await taken.turn()
    assert there.written[-1].calls == 1


async def test_one_caller_s_flood_hides_no_other_s_refusal() -> None:
    there = Log()
    taken = there.refusals()
    for _ in range(100):
        taken.add(denied("token:eve"))
    taken.add(denied("token:ada"))
    await taken.turn()
    assert [entry.principal for entry in there.written].count("token:ada") == 1


async def test_ever_new_names_are_counted_together() -> None:
    there = Log()
    taken = there.refusals()
    for number in range(3 * refusals.MOST_KINDS):
        taken.add(denied(method=f"Made{number}"))
    await taken.close()
    assert len(there.written) == refusals.MOST_KINDS + 1
    assert sum(entry.calls for entry in there.written) == 3 * refusals.MOST_KINDS
    together = there.written[-1]
    assert (together.principal, together.method) == ("", "")


async def test_what_cannot_be_written_waits_and_what_is_too_much_is_counted() -> None:
    there = Log()
    there.away = True
    taken = there.refusals()
    taken.add(denied())
    with pytest.raises(StoreUnavailable):
        await taken.turn()
    for number in range(refusals.MOST_WAITING + 100):
        taken.add(denied(who=f"token:{number % 900}"))
        there.now += refusals.WINDOW_SECONDS
        with pytest.raises(StoreUnavailable):
            await taken.turn()
    there.away = False
    with capture_logs() as logs:
        await taken.turn()
    assert len(there.written) == refusals.MOST_WAITING
    (lost,) = [line for line in logs if line["event"] == "audit_entries_lost"]
    assert lost["calls"] == 101


async def test_a_server_that_stops_writes_what_is_left() -> None:
    there = Log()
    taken = there.refusals()
    for _ in range(50):
        taken.add(denied())
    await taken.close()
    assert sum(entry.calls for entry in there.written) == 50


async def test_a_server_that_stops_without_its_database_says_what_is_lost() -> None:
    there = Log()
    there.away = True
    taken = there.refusals()
    taken.add(denied())
    with capture_logs() as logs:
        await taken.close()
    assert [line["calls"] for line in logs if line["event"] == "audit_entries_lost"] == [1]


async def test_one_that_cannot_be_stored_holds_up_nothing() -> None:
    there = Log()
    taken = there.refusals()
    taken.add(replace(denied(), reason="NOT STORABLE"))
    with capture_logs() as logs:
        await taken.turn()
    assert [line["calls"] for line in logs if line["event"] == "audit_entries_lost"] == [1]
    taken.add(denied())
    await taken.turn()
    assert len(there.written) == 1


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B2001:db8::1%5D:51234", "2001:db8::1"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_a_peer_is_shown_without_its_port(peer: str, shown: str) -> None:
    assert peer_address(peer) == shown


def test_names_that_no_database_holds_are_made_storable() -> None:
    entry = denied_entry(
        Denial("jwt:\ud800\0" + "x" * 400, "1.2.3.4", "/s/M", "", Unauthenticated(""))
    )
    assert entry.principal.startswith("jwt:?\N{REPLACEMENT CHARACTER}x")
    assert len(entry.principal) == 300
    # The name of a method that does not exist is the caller's own.
    assert entry.method == ""
