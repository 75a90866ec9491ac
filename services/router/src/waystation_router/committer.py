"""From outcomes to commits: takes what was submitted, decides, writes it as one statement, announces it.

Two workers overlap, so that one batch is decided while another is written; an instance is in one batch at a
time. What the fast form does not write is decided again under the instance's lock, alone (`locked_commits`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from waystation_core.background import BackgroundLoop, Contact, Retries, job, run_loop, wait_before
from waystation_core.decisions import Decisions
from waystation_core.ports.store import EngineStore, WriteRefused
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_domain.draft import Draft
from waystation_domain.errors import StoreUnavailable
from waystation_domain.results import apply_touch
from waystation_router.commit_queue import CommitQueue
from waystation_router.conclusions import Conclusions
from waystation_router.flood_window import FloodWindow
from waystation_router.ledger import UNKNOWN, DeliveryCall, Handling, Ledger
from waystation_router.locked_commits import LockedCommits
from waystation_router.meters import RouterMeters
from waystation_router.portions import Portion, Touched, touch_of, written_rows

log = structlog.get_logger(__name__)

WORKERS = 2
LOCKED_AT_ONCE = 4
"""Each holds a connection: loads and the lease need some too."""
FAILURES_OF_A_BATCH = 4
"""Tries in a row; by then the probe would have noticed an outage."""
LONGEST_PAUSE = 30.0
"""Between two tries of a commit that fails without an outage."""


class Committer:
    """Commits what is submitted. `start` starts its workers; `close` when nothing more will be submitted."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: EngineStore,
        registries: Registries,
        relay: Relay,
        decisions: Decisions,
        router_id: str,
        call_again: Callable[[Handling, DeliveryCall], None],
        on_parked: Callable[[float], None],
        continue_with: Callable[[Sequence[Portion]], frozenset[str]],
        contact: Contact,
        window: FloodWindow,
        in_doubt: asyncio.Event,
        lease_is_held: Callable[[], bool],
        meters: RouterMeters,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._registries = registries
        self._relay = relay
        self._router_id = router_id
        self._rules = decisions.rules
        self._continue_with = continue_with
        self._contact = contact
        self._window = window
        self._meters = meters
        self._retries = Retries("commit_repeated")
        self._locked = LockedCommits(decisions, registries, router_id)
        self._queue = CommitQueue(ledger)
        self._conclusions = Conclusions(
            ledger,
            router_id,
            submit=self._queue.put,
            call_again=call_again,
            on_parked=on_parked,
            in_doubt=in_doubt,
            meters=meters,
        )
        self._in_doubt = in_doubt
        self._lease_is_held = lease_is_held
        self._workers: list[BackgroundLoop] = []
        self._locks = asyncio.Semaphore(LOCKED_AT_ONCE)
        self._slow: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        # A batch of a worker that ended would be in nobody's hands.
        self._workers = [
            run_loop(f"commit {at}", self._work, again=False, ends=True)
            for at in range(1, WORKERS + 1)
        ]

    def submit(self, handling: Handling) -> None:
        """There is something to write of this event: a result, a row, or that no task handles it."""
        self._queue.put(handling)

    @property
    def behind(self) -> int:
        """How many events wait for their commit."""
        return len(self._queue)

    @property
    def results_committed(self) -> int:
        return self._conclusions.results

    def has(self, handling: Handling) -> bool:
        """Whether something of this event is about to be written, so that its state is not known."""
        return self._queue.has(handling)

    async def close(self) -> None:
        """Commits what was submitted, then stops."""
        self._queue.close()
        for worker in self._workers:
            await worker.wait()
        while self._slow:
            await asyncio.gather(*self._slow)

    # --- batches ---------------------------------------------------------------------------

    async def _work(self) -> None:
        while portions := await self._queue.take():
            await self._commit(portions)

    async def _commit(self, portions: Sequence[Portion]) -> None:
        """The fast form, for everything that can use it; the rest is committed alone, after this batch."""
        done: Sequence[Portion] = ()
        try:
            fast = [portion for portion in portions if self._decide(portion)]
            if fast:
                keys = await self._write(fast)
                done = self._go_on(
                    [portion for portion in fast if portion.state.instance.key in keys]
                )
        except Exception:
            # A fault here must not end the router's work: the batch is still in hand and is decided again
            # under its locks; the log has the reason.
            log.exception("commit_failed")
        for portion in portions:
            if portion in done:
                self._queue.free(portion)
            else:
                task = job("commit alone", self._commit_alone(portion))
                self._slow.add(task)
                task.add_done_callback(self._slow.discard)

    def _go_on(self, written: Sequence[Portion]) -> list[Portion]:
        """The consequences of these commits here and elsewhere: events that are continued here are not
        announced. Returns the portions that have nothing left to decide: not those with a fault here."""
        done = [portion for portion in written if self._is_concluded(portion)]
        continued: frozenset[str] = frozenset()
        try:
            continued = self._continue_with(done)
        except Exception:
            log.exception("events_not_continued")
        try:
            self._relay.committed(
                [portion.commit for portion in written if portion.commit is not None],
                continued=continued,
            )
        except Exception:
            # Their outbox rows have them announced later.
            log.exception("events_not_announced")
        return done

    def _is_concluded(self, portion: Portion) -> bool:
        """A fault in what follows the commit of one instance holds up no other one of its batch."""
        try:
            self._conclusions.of(portion)
        except Exception:
            log.exception("commit_not_concluded", instance_key=portion.state.instance.key)
            for handling in portion.handlings:
                # Perhaps it still has the facts from before the commit.
                handling.known = UNKNOWN
            return False
        return True

    async def _commit_alone(self, portion: Portion) -> None:
        state = portion.state
        try:
            if await self._is_committed_alone(portion):
                state.failed_commits = 0
            else:
                state.failed_commits += 1
                await asyncio.sleep(wait_before(state.failed_commits, longest=LONGEST_PAUSE))
                for handling in portion.handlings:
                    self.submit(handling)
        finally:
            self._queue.free(portion)

    async def _is_committed_alone(self, portion: Portion) -> bool:
        try:
            await self._commit_locked(portion)
        except Exception:
            log.exception("locked_commit_failed", times=portion.state.failed_commits + 1)
            return False
        return bool(self._go_on([portion]))

    def _decide(self, portion: Portion) -> bool:
        """Decides from what is known here; False if that may not be enough."""
        state = portion.state
        instance = state.instance
        generation = self._registries.of(instance.namespace).generation
        held = self._lease_is_held()
        for handling in portion.handlings:
            if (
                handling.known != instance.revision
                or handling.wants_turn is not None
                or (handling.holds and handling.event.expires_at is not None)
                or any(
                    call.result is not None and call.base_version < state.log_from
                    for call in handling.calls.values()
                )
                or (handling.facts.in_outbox and handling.generation != generation)
                # Another router may have its rows, which does not change the instance's revision.
                or not (handling.facts.in_outbox or held)
            ):
                return False
        now = self._ledger.clock.now()
        if instance.turn is not None or now is None:
            return False
        draft = Draft(
            instance,
            facts={handling.event_id: handling.facts for handling in portion.handlings},
            rules=self._rules(instance.namespace),
            now=now,
            log=state.log,
        )
        portion.touched = [
            Touched(
                handling,
                apply_touch(draft, touch_of(handling, self._router_id), router_id=self._router_id),
                written_rows(handling),
                draft.facts(handling.event_id),
            )
            for handling in portion.handlings
        ]
        commit = draft.commit()
        if commit.is_empty:
            # Nothing would be sent that could prove the copy wrong, and a result must not be dropped as a
            # duplicate, or called again, because of a copy alone.
            return False
        portion.commit = commit
        return True

    async def _write(self, fast: Sequence[Portion]) -> frozenset[int]:
        """Writes the batch; returns the keys of what is done: none if Postgres refuses the batch. Its parts are
        then committed under locks."""
        commits = [portion.commit for portion in fast if portion.commit is not None]
        generations = {
            commit.before.namespace: self._registries.of(commit.before.namespace).generation
            for commit in commits
        }
        done: frozenset[int] = frozenset()
        unknown = False
        failures = 0
        while True:
            try:
                began = time.monotonic()
                written = await self._store.commit(commits, generations=generations)
                took = time.monotonic() - began
                self._window.committed(took)
                self._meters.committed_batch(took, len(commits))
                self._went_through()
            except StoreUnavailable as error:
                # Whether it was written is unknown, so it is repeated unchanged, with the same ids.
                unknown = True
                failures += 1
                await self._pause(error, failures)
                if failures >= FAILURES_OF_A_BATCH and self._contact.answers:
                    # Others can write meanwhile, so something in this batch is at fault: each instance is
                    # committed alone.
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

    async def _commit_locked(self, portion: Portion) -> None:
        """The second form, until it succeeds."""
        failures = 0
        while True:
            try:
                # Its place is free while it waits: a fault of one instance delays no others.
                async with self._locks:
                    began = time.monotonic()
                    portion.commit, portion.touched = await self._locked.commit(
                        portion.state.instance.key, portion.handlings
                    )
                    self._meters.committed_locked(time.monotonic() - began)
            except StoreUnavailable as error:
                failures += 1
                self._in_doubt.set()
                await self._pause(error, failures)
                continue
            self._went_through()
            return

    async def _pause(self, error: StoreUnavailable, failures: int) -> None:
        """What is to be written stays in hand until the database accepts it."""
        self._retries.failed(error, waiting=len(self._queue))
        self._contact.failed(error)
        await asyncio.sleep(wait_before(failures))

    def _went_through(self) -> None:
        self._retries.over()
        self._contact.succeeded()
