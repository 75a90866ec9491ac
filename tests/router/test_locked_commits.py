"""What a router decides under an instance's lock rests on what it knew when it asked for the lock."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from router import given

from waystation_core.decisions import Decisions
from waystation_core.ports.store import EngineStore
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_domain.commit import EventFacts, InstanceCommit, LoggedWrites
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.operations import Operation
from waystation_domain.outcomes import CallResult, Reply, Verdict
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import DeliveryCall, Handling, InstanceState, Ledger
from waystation_router.locked_commits import LockedCommits

TASK = TaskSpec("fraud", "claims", ("fraud.requested",), ("claim",))
EVENT = Event("01a20000-0000-7000-8000-000000000001", "fraud.requested", {}, "split", version=3)
INSTANCE = replace(given.INSTANCE, data={"risk": "open", "fraud": "open"}, unsettled=1)
MOVED = replace(INSTANCE, version=4, revision=5, data={"risk": "done", "fraud": "open"})
ROW = Delivery(EVENT.event_id, "fraud", DeliveryState.LEASED, leased_by="r-1")


class LockedMeanwhile:
    """A store whose lock takes a while: `meanwhile` happens before it is there."""

    def __init__(self, meanwhile: Any) -> None:
        self.meanwhile = meanwhile
        self.since: list[int | None] = []
        self.written: list[InstanceCommit] = []

    @asynccontextmanager
    async def locked(
        self, *, key: int, event_ids: Sequence[str], since: int | None, **_: Any
    ) -> AsyncIterator[Any]:
        self.since.append(since)
        self.meanwhile()
        # As the adapter does: writes are read only as far back as was asked for.
        log = [LoggedWrites(4, (("/risk", "set"),))] if since is not None and since < 4 else []

        yield SimpleNamespace(
            instance=MOVED,
            facts={EVENT.event_id: EventFacts(False, {"fraud": ROW})},
            log=log,
            generation=0,
            now=datetime.now(UTC),
            write=self.write,
        )

    async def write(self, commit: InstanceCommit) -> None:
        self.written.append(commit)


def handling_of(ledger: Ledger) -> Handling:
    state = InstanceState(INSTANCE)
    handling = ledger.open(EVENT, state, EventFacts(False, {"fraud": ROW}), INSTANCE.revision)
    handling.tasks = (TASK,)
    handling.calls["fraud"] = DeliveryCall(TASK, base_version=3)
    return handling


def answer() -> CallResult:
    """Computed from version 3, where risk was open; it read that."""
    reply = Reply(change=(Operation("/fraud", "set", "done"),), reads=("/risk", "/fraud"))
    return CallResult(TASK, attempt=1, base_version=3, outcome=reply)


async def test_a_result_that_comes_while_the_lock_is_waited_for_is_left_for_the_next_commit() -> (
    None
):
    handling = handling_of(Ledger())
    # Its lease is to be written; its answer is not there yet.
    handling.holds = True

    def the_answer_comes() -> None:
        handling.calls["fraud"].result = answer()

    store = LockedMeanwhile(the_answer_comes)
    registries = Registries(cast(Any, None), look_every=1.0)
    relay: Any = SimpleNamespace(committed=lambda commits: None)
    decisions = Decisions(cast(EngineStore, store), relay, registries, PROVIDERS, max_events=10)
    commits = LockedCommits(decisions, registries, "r-1")

    _, (decided,) = await commits.commit(1, [handling])
    assert (store.since, decided.verdicts) == ([None], {})

    store.meanwhile = lambda: None
    _, (decided,) = await commits.commit(1, [handling])
    assert (store.since[1], decided.verdicts) == (3, {"fraud": Verdict.CONFLICT})
    assert not any(commit.after.data != MOVED.data for commit in store.written)
