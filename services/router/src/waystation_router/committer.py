"""From outcomes to commits: takes what is there, decides, writes it as one statement, tells everyone.

Two workers overlap, so that one batch is decided while another is written; an instance is in one
batch at a time. What the fast form does not write is decided again under the instance's lock, alone
(`locked_commits`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from waystation_core.decisions import Decisions
from waystation_core.ports.store import EngineStore, WriteRefused
from waystation_core.registry_copy import RegistryCopy
from waystation_core.relay.announcing import Relay
from waystation_core.running import Contact, Kept, Retries, job, keep, wait_before
from waystation_domain.commit import InstanceCommit
from waystation_domain.draft import Draft
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import DeliveryState
from waystation_domain.outcomes import Verdict
from waystation_domain.results import CONFLICTS_BEFORE_TURN, apply_touch
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import UNKNOWN, Call, Handling, InstanceState, Ledger
from waystation_router.locked_commits import Decided, LockedCommits, touch_of, written_rows
from waystation_router.turns import Turns

log = structlog.get_logger(__name__)

BATCH = 200
WORKERS = 2
LOCKED_AT_ONCE = 4
"""Each holds a connection: the batches, the loads and the lease need theirs too."""
FAILURES_OF_A_BATCH = 4
"""In a row; by then the probe would have met what holds up everybody."""
LONGEST_PAUSE = 30.0
"""Between two tries of a commit that fails for no outage."""


@dataclass(slots=True, eq=False)
class _Group:
    """The handlings of one instance in one batch, and what was decided of them."""

    state: InstanceState
    handlings: list[Handling]
    commit: InstanceCommit | None = None
    decided: list[Decided] | None = None


class Committer:
    """Commits what is submitted. `start` its workers; `close` when nothing more will come."""

    def __init__(
        self,
        ledger: Ledger,
        store: EngineStore,
        registry: RegistryCopy,
        relay: Relay,
        decisions: Decisions,
        router_id: str,
        call_again: Callable[[Handling, Call], None],
        on_parked: Callable[[float], None],
        contact: Contact,
        in_doubt: asyncio.Event,
        lease_is_held: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._registry = registry
        self._relay = relay
        self._router_id = router_id
        self._call_again = call_again
        self._on_parked = on_parked
        self._rules = decisions.rules
        self._contact = contact
        self._retries = Retries("commit_repeated")
        self._locked = LockedCommits(decisions, registry, router_id)
        self._turns = Turns(self.submit)
        self._queue: OrderedDict[str, Handling] = OrderedDict()
        self._in_doubt = in_doubt
        self._lease_is_held = lease_is_held
        self._busy: set[int] = set()
        self._committing: set[str] = set()
        self._filled = asyncio.Event()
        self._closing = False
        self._workers: list[Kept] = []
        self._locks = asyncio.Semaphore(LOCKED_AT_ONCE)
        self._slow: set[asyncio.Task[None]] = set()
        self.results_committed = 0

    def start(self) -> None:
        # A batch that one of them had in hand would be in no other hands.
        self._workers = [
            keep(f"commit {at}", self._work, again=False, ends=True) for at in range(1, WORKERS + 1)
        ]

    def submit(self, handling: Handling) -> None:
        """Something of this event is to be written: a result, a row, or that no task handles it."""
        # In the place of one that was let go while it stood here: nothing more is to be written of that.
        self._queue[handling.event_id] = handling
        self._filled.set()

    @property
    def behind(self) -> int:
        """How many events wait for their commit."""
        return len(self._queue)

    def has(self, handling: Handling) -> bool:
        """Whether something of this event is about to be written, so that nobody knows where it stands."""
        return handling.event_id in self._queue or handling.event_id in self._committing

    async def close(self) -> None:
        """Commits what was submitted, then stops."""
        self._closing = True
        self._filled.set()
        for worker in self._workers:
            await worker.wait()
        while self._slow:
            await asyncio.gather(*self._slow)

    # --- batches ---------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            groups = self._take()
            if groups:
                await self._commit(groups)
            elif self._closing and not self._queue:
                self._filled.set()
                return
            else:
                self._filled.clear()
                await self._filled.wait()

    async def _commit(self, groups: Sequence[_Group]) -> None:
        """The fast form for all that it may do; the rest goes on alone, behind this batch."""
        done: Sequence[_Group] = ()
        try:
            fast = [group for group in groups if self._decide(group)]
            if fast:
                keys = await self._write(fast)
                done = [group for group in fast if group.state.instance.key in keys]
                self._relay.committed([group.commit for group in done if group.commit is not None])
                self._conclude_all(done)
        except Exception:
            # A fault here must not end the router's work: what was in the batch is still in hand
            # and is decided again under its locks, by which time the log has the reason.
            log.exception("commit_failed")
        for group in groups:
            if group in done:
                self._free(group)
            else:
                task = job("commit alone", self._commit_alone(group))
                self._slow.add(task)
                task.add_done_callback(self._slow.discard)

    async def _commit_alone(self, group: _Group) -> None:
        try:
            await self._commit_locked(group)
            self._conclude_all([group])
            group.state.failed_commits = 0
        except Exception:
            failures = group.state.failed_commits = group.state.failed_commits + 1
            log.exception("locked_commit_failed", times=failures)
            await asyncio.sleep(wait_before(failures, longest=LONGEST_PAUSE))
            for handling in group.handlings:
                self.submit(handling)
        finally:
            self._free(group)

    def _free(self, group: _Group) -> None:
        """Another batch may have the instance."""
        self._busy.discard(group.state.instance.key)
        self._committing.difference_update(handling.event_id for handling in group.handlings)
        if self._queue:
            self._filled.set()

    def _take(self) -> list[_Group]:
        """What is there, by instance; instances that the other worker has are left for later."""
        groups: dict[int, _Group] = {}
        taken: list[str] = []
        for event_id, handling in self._queue.items():
            key = handling.state.instance.key
            if key in self._busy:
                continue
            if not handling.has_something_to_write:
                # A commit that was under way when it was submitted wrote all of it.
                taken.append(event_id)
                if self._ledger.handlings.get(event_id) is handling:
                    handling.release_messages()
                    self._ledger.close(handling)
                continue
            group = groups.get(key)
            if group is None:
                if len(groups) >= BATCH:
                    break
                group = groups[key] = _Group(handling.state, [])
            group.handlings.append(handling)
            taken.append(event_id)
        for event_id in taken:
            del self._queue[event_id]
        for group in groups.values():
            self._committing.update(handling.event_id for handling in group.handlings)
        self._busy.update(groups)
        return list(groups.values())

    def _conclude_all(self, groups: Sequence[_Group]) -> None:
        for group in groups:
            self._take_over(group)
        for group in groups:
            # Where the events stand was true at the commit's revision. The copy of the instance may
            # be newer by now, and what made it so may have moved them.
            revision = group.commit.after.revision if group.commit is not None else 0
            for decided in group.decided or ():
                self._conclude(decided, revision)
            refused = any(decided.must_wait for decided in group.decided or ())
            self._turns.look(group.state, refused=refused)

    def _decide(self, group: _Group) -> bool:
        """Decides by what is known here; False where that may not be enough."""
        state = group.state
        instance = state.instance
        generation = self._registry.generation
        held = self._lease_is_held()
        for handling in group.handlings:
            if (
                handling.known != instance.revision
                or handling.wants_turn is not None
                or (handling.holds and handling.event.expires_at is not None)
                or any(
                    call.result is not None and call.base_version < state.log_from
                    for call in handling.calls.values()
                )
                or (handling.facts.in_outbox and handling.generation != generation)
                # Its rows may be in other hands, which the instance's revision does not show.
                or not (handling.facts.in_outbox or held)
            ):
                return False
        if instance.turn is not None:
            return False
        draft = Draft(
            instance,
            facts={handling.event_id: handling.facts for handling in group.handlings},
            rules=self._rules,
            now=datetime.now(UTC),
            log=state.log,
        )
        group.decided = [
            Decided(
                handling,
                apply_touch(draft, touch_of(handling, self._router_id), router_id=self._router_id),
                written_rows(handling),
                draft.facts(handling.event_id),
            )
            for handling in group.handlings
        ]
        commit = draft.commit()
        if commit.is_empty:
            # Nothing would be sent that could prove the copy wrong, and a result must not be dropped
            # as a duplicate, or called again, on the word of a copy alone.
            return False
        group.commit = commit
        return True

    async def _write(self, fast: Sequence[_Group]) -> frozenset[int]:
        """Writes the batch; answers with the keys of those that are done. None are when Postgres
        refuses the batch: it is taken apart under locks."""
        commits = [group.commit for group in fast if group.commit is not None]
        generation = self._registry.generation
        done: frozenset[int] = frozenset()
        unknown = False
        failures = 0
        while True:
            try:
                written = await self._store.commit(commits, generation=generation)
                self._went_through()
            except StoreUnavailable as error:
                # Whether it was written is unknown, so it is repeated as it is, ids and all.
                unknown = True
                failures += 1
                await self._pause(error, failures)
                if failures >= FAILURES_OF_A_BATCH and self._contact.answers:
                    # Others write meanwhile, so something in here is the matter: each goes alone.
                    log.error(
                        "batch_taken_apart", error=str(error.__cause__), instances=len(commits)
                    )
                    break
            except WriteRefused as error:
                log.error("batch_refused", error=str(error.__cause__), instances=len(commits))
                break
            else:
                done = written.keys
                break
        if unknown:
            self._in_doubt.set()
            self._ledger.forget_copies()
            # Perhaps the first try wrote those that this one did not.
            self._relay.perhaps_committed(
                [commit for commit in commits if commit.before.key not in done]
            )
        return done

    async def _commit_locked(self, group: _Group) -> None:
        """The second form, until it goes through."""
        failures = 0
        while True:
            try:
                # Its place is free while it waits: a fault of one instance keeps no others waiting.
                async with self._locks:
                    group.commit, group.decided = await self._locked.commit(
                        group.state.instance.key, group.handlings
                    )
            except StoreUnavailable as error:
                failures += 1
                self._in_doubt.set()
                await self._pause(error, failures)
                continue
            self._went_through()
            return

    async def _pause(self, error: StoreUnavailable, failures: int) -> None:
        """What is to be written stays in hand until the database takes it."""
        self._retries.failed(error, waiting=len(self._queue))
        self._contact.failed(error)
        await asyncio.sleep(wait_before(failures))

    def _went_through(self) -> None:
        self._retries.over()
        self._contact.succeeded()

    # --- what follows ----------------------------------------------------------------------

    def _take_over(self, group: _Group) -> None:
        """The copy of the instance becomes what the commit left."""
        assert group.commit is not None
        if not group.commit.is_empty:
            group.state.advance(group.commit)
        elif group.commit.after.revision > group.state.instance.revision:
            group.state.replace(group.commit.after)

    def _conclude(self, decided: Decided, revision: int) -> None:
        """Lets go of what is done, and calls again what lost against another result."""
        handling = decided.handling
        handling.facts = decided.facts
        handling.known = UNKNOWN if handling.claimed_meanwhile else revision
        handling.claimed_meanwhile = False
        handling.holds = False
        for task_id, verdict in decided.verdicts.items():
            self._conclude_result(handling, handling.calls[task_id], verdict)
        for task_id in decided.rows:
            call = handling.calls.pop(task_id)
            if call.row is not None and call.row.state is DeliveryState.NO_ENDPOINT:
                self._on_parked(call.row_since)
        if decided.asked is not None:
            self._conclude_asking(handling, decided.asked, decided.must_wait)
        if not handling.facts.in_outbox:
            handling.release_messages()
        self._call_new_tasks(handling, decided)
        if not handling.calls:
            self._ledger.close(handling)
        elif any(
            call.has_outcome and decided.verdicts.get(task_id) is not Verdict.WAIT
            for task_id, call in handling.calls.items()
        ):
            # Came in while the commit was on its way.
            self.submit(handling)

    def _conclude_asking(self, handling: Handling, asked: TaskSpec, must_wait: bool) -> None:
        handling.wants_turn = None
        call = handling.calls.get(asked.task_id)
        if call is None:
            return
        if must_wait:
            self._turns.not_taken(handling, call)
        else:
            # Its row says how often it lost.
            call.conflicts = 0
            self._call_again(handling, call)

    def _call_new_tasks(self, handling: Handling, decided: Decided) -> None:
        """Calls tasks that were registered between the first look and the commit."""
        for task in handling.tasks:
            task_id = task.task_id
            row = handling.facts.deliveries.get(task_id)
            # Not a retry, which a claim leased that is about to take it in hand.
            ours = (
                row is not None
                and row.leased_by == self._router_id
                and (row.attempts, row.edit, row.suspect) == (0, 0, False)
            )
            if (
                (handling.facts.in_outbox or ours)
                and task_id not in handling.calls
                and task_id not in decided.verdicts
                and task_id not in decided.rows
            ):
                call = Call(task)
                handling.calls[task_id] = call
                self._call_again(handling, call)

    def _conclude_result(self, handling: Handling, call: Call, verdict: Verdict) -> None:
        if verdict is Verdict.WAIT:
            self._turns.result_waits(handling)
        elif verdict is Verdict.CONFLICT:
            call.conflicts += 1
            call.result = None
            log.debug("conflict", event_id=handling.event_id, task_id=call.task.task_id)
            if call.conflicts < CONFLICTS_BEFORE_TURN and not self._turns.are_wanted(
                handling.state
            ):
                self._call_again(handling, call)
            else:
                self._turns.lost(handling, call)
        else:
            self.results_committed += 1
            del handling.calls[call.task.task_id]
            if verdict is Verdict.DUPLICATE:
                # The delivery may have been claimed for a later attempt while this one was in doubt.
                self._in_doubt.set()
            log.info(
                "delivery",
                event_id=handling.event_id,
                event_type=handling.event.event_type,
                task_id=call.task.task_id,
                workflow_id=handling.state.instance.workflow_instance_id,
                attempt=call.attempt,
                verdict=verdict.value,
            )
