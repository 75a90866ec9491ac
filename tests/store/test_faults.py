"""What an error of Postgres proves: only what the data itself causes is the data's fault. Everything
else is an outage: said as what it is, nothing written, and all well once it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from store.instances import Engine, a_start, task
from support.databases import migrated
from support.waiting import eventually

from localservers.postgres import PostgresServer
from waystation_core.ports.store import WriteRefused
from waystation_core.store.connections import connection_of, open_connections
from waystation_domain.errors import StoreUnavailable
from waystation_domain.operations import Operation
from waystation_domain.outcomes import Reply

A = task("a")


@dataclass(frozen=True)
class Fault:
    """How an operator, a failover or a broken disk does it, and undoes it."""

    name: str
    begin: tuple[str, ...]
    end: tuple[str, ...]
    sqlstate: str
    says: str


def _raised(sqlstate: str, says: str) -> Fault:
    """By a trigger, as Postgres itself would."""
    return Fault(
        sqlstate,
        (
            "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{sqlstate}'; END$$",
            "CREATE TRIGGER fault BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION fault()",
        ),
        ("DROP TRIGGER fault ON history", "DROP FUNCTION fault()"),
        sqlstate,
        says,
    )


_TROUBLES = "The database failed"
OUTAGES = [
    Fault(
        "read-only",
        ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
        ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
        "25006",
        "read-only",
    ),
    Fault(
        "privilege revoked",
        ("REVOKE INSERT ON history FROM waystation",),
        ("GRANT INSERT ON history TO waystation",),
        "42501",
        "privilege",
    ),
    Fault(
        "table renamed",
        ("ALTER TABLE history RENAME TO history_away",),
        ("ALTER TABLE history_away RENAME TO history",),
        "42P01",
        "tables do not match this release",
    ),
    Fault(
        "column renamed",
        ("ALTER TABLE history RENAME COLUMN sequence TO sequence_away",),
        ("ALTER TABLE history RENAME COLUMN sequence_away TO sequence",),
        "42703",
        "tables do not match this release",
    ),
    _raised("XX000", "internal error"),
    _raised("XX001", "internal error"),
    _raised("25P03", _TROUBLES),
    _raised("26000", "prepared statements"),
    _raised("0A000", "were changed"),
    _raised("P0001", _TROUBLES),
    _raised("53100", "disk is full"),
    _raised("53200", "cannot be reached or is busy"),
    _raised("53300", "no free connection"),
    _raised("53400", "cannot be reached or is busy"),
    _raised("55P03", "cannot be reached or is busy"),
    _raised("57014", "cannot be reached or is busy"),
    _raised("57P01", "cannot be reached or is busy"),
    _raised("58030", "system error"),
    _raised("40001", "cannot be reached or is busy"),
    _raised("40P01", "cannot be reached or is busy"),
    _raised("2F003", _TROUBLES),
    _raised("72000", _TROUBLES),
]
REFUSALS = [_raised(state, "") for state in ("22001", "22P05", "23505", "23514", "54000", "54001")]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One whose settings may be changed."""
    with PostgresServer() as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE waystation LOGIN")
        yield server


@pytest.fixture
def admin_url(server: PostgresServer) -> Iterator[str]:
    dsn = server.fresh_database(migrated)
    yield dsn
    server.drop_database(dsn)


def _run(url: str, statements: tuple[str, ...]) -> None:
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as c:
        for statement in statements:
            c.execute(statement)  # type: ignore[call-overload]  # a text, not a literal


@pytest.mark.parametrize("fault", [*OUTAGES, *REFUSALS], ids=lambda fault: fault.name)
async def test_only_the_data_s_own_fault_is_a_refusal(admin_url: str, fault: Fault) -> None:
    _run(
        admin_url,
        (
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO waystation",
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO waystation",
        ),
    )
    url = admin_url.replace("postgres@", "waystation@")
    connections = open_connections(url, size=3, name="test")
    await connections.open()
    try:
        await _meet(Engine(connections), admin_url, fault)
    finally:
        await connections.close()


async def _meet(engine: Engine, admin_url: str, fault: Fault) -> None:
    _, event = await engine.started()
    commit = await engine.decide(
        event.event_id, A, Reply(change=(Operation("/n", "increment", 1),))
    )
    generation = await engine.generation()
    before = await engine.everything()

    async def read_only() -> object:
        return (await engine.rows("SHOW default_transaction_read_only"))[0][0]

    _run(admin_url, fault.begin)
    if fault.sqlstate == "25006":
        await eventually(read_only, until=lambda now: now == "on")
    try:
        for write in (
            lambda: engine.store.commit([commit], generations={"default": generation}),
            lambda: engine.store.start([a_start()]),
        ):
            for _ in range(2):  # the second time by a connection that has met the fault
                if fault in REFUSALS:
                    with pytest.raises(WriteRefused):
                        await write()
                    continue
                with pytest.raises(StoreUnavailable) as told:
                    await write()
                assert told.value.metadata == {"sqlstate": fault.sqlstate}
                assert fault.says in told.value.message
                assert told.value.message.endswith("Retry the request in a moment.")
    finally:
        _run(admin_url, fault.end)
        await eventually(read_only, until=lambda now: now == "off")

    assert await engine.everything() == before
    assert await engine.store.commit([commit], generations={"default": generation})
    assert (await engine.store.start([a_start()]))[0].created


@pytest.mark.parametrize("value", ["a\0b", "[" * 100_000], ids=["NUL", "nested too deep"])
async def test_a_value_that_no_text_or_json_can_be_is_the_data_s_fault(
    engine: Engine, value: str
) -> None:
    with pytest.raises(WriteRefused):
        async with connection_of(engine.pool) as connection:
            await connection.execute("SELECT %s::json", (value,))


async def test_a_connection_whose_prepared_statements_are_gone_is_replaced(engine: Engine) -> None:
    """As a pooler in between, or DISCARD ALL, leaves it."""
    for _ in range(3):
        await engine.started()
    async with engine.pool.connection() as connection:
        await connection.execute("DEALLOCATE ALL", prepare=False)
    outcomes: list[str] = []
    for _ in range(4):
        try:
            await engine.started()
            outcomes.append("started")
        except StoreUnavailable as told:
            outcomes.append(told.metadata["sqlstate"])
    assert outcomes in (["26000", "started", "started", "started"], ["started"] * 4)
