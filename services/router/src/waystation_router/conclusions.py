"""What follows a commit in this router: updates its copies, closes finished events, submits again what arrived
meanwhile, has what lost a conflict called again, and checks the turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from waystation_domain.model import DeliveryState
from waystation_domain.outcomes import Verdict
from waystation_domain.results import CONFLICTS_BEFORE_TURN
from waystation_domain.task_spec import TaskSpec
from waystation_router.contests import Contests
from waystation_router.delivery_log import DeliveryLog
from waystation_router.ledger import UNKNOWN, DeliveryCall, Handling, Ledger
from waystation_router.meters import RouterMeters
from waystation_router.portions import Portion, Touched
from waystation_router.turns import Turns

log = structlog.get_logger(__name__)


class Conclusions:
    """Draws them; `results` counts committed results."""

    def __init__(
        self,
        ledger: Ledger,
        router_id: str,
        *,
        submit: Callable[[Handling], None],
        call_again: Callable[[Handling, DeliveryCall], None],
        on_parked: Callable[[float], None],
        in_doubt: asyncio.Event,
        meters: RouterMeters,
    ) -> None:
        self._ledger = ledger
        self._router_id = router_id
        self._submit = submit
        self._call_again = call_again
        self._on_parked = on_parked
        self._in_doubt = in_doubt
        self._turns = Turns(submit)
        self._contests = Contests(call_again)
        self._log = DeliveryLog()
        self._meters = meters
        self.results = 0

    def of(self, portion: Portion) -> None:
        """Takes over the state after a commit, and continues from there."""
        self._take_over(portion)
        # The facts of the events were valid at the commit's revision. The copy of the instance may be newer by
        # now, and the change that made it newer may have changed them.
        revision = portion.commit.after.revision if portion.commit is not None else 0
        for touched in portion.touched or ():
            self._conclude(touched, revision)
        refused = any(touched.must_wait for touched in portion.touched or ())
        self._look_who_is_next(portion, refused)

    def _look_who_is_next(self, portion: Portion, refused: bool) -> None:
        if self._turns.are_wanted(portion.state):
            # Who is called before the turn is over only loses again.
            for loser in self._contests.leave(portion.state):
                self._turns.lost(*loser)
        self._turns.look(portion.state, refused=refused)
        self._contests.look(portion.state)

    def _take_over(self, portion: Portion) -> None:
        """Replaces the copy of the instance by the state after the commit."""
        assert portion.commit is not None
        if not portion.commit.is_empty:
            portion.state.advance(portion.commit)
        elif portion.commit.after.revision > portion.state.instance.revision:
            portion.state.replace(portion.commit.after)

    def _conclude(self, touched: Touched, revision: int) -> None:
        """Closes an event that is finished, and calls again what lost a conflict."""
        handling = touched.handling
        handling.facts = touched.facts
        handling.known = UNKNOWN if handling.claimed_meanwhile else revision
        handling.claimed_meanwhile = False
        handling.holds = False
        for task_id, verdict in touched.verdicts.items():
            self._conclude_result(handling, handling.calls[task_id], verdict)
        for task_id in touched.rows:
            call = handling.calls.pop(task_id)
            if call.row is not None and call.row.state is DeliveryState.NO_ENDPOINT:
                self._on_parked(call.row_since)
        if touched.asked is not None:
            self._conclude_asking(handling, touched.asked, touched.must_wait)
        if not handling.facts.in_outbox:
            handling.release_messages()
        self._call_new_tasks(handling, touched)
        if not handling.calls:
            self._ledger.close(handling)
        elif any(
            call.has_outcome and touched.verdicts.get(task_id) is not Verdict.WAIT
            for task_id, call in handling.calls.items()
        ):
            # It arrived while the commit was under way.
            self._submit(handling)

    def _conclude_asking(self, handling: Handling, asked: TaskSpec, must_wait: bool) -> None:
        handling.wants_turn = None
        call = handling.calls.get(asked.task_id)
        if call is None:
            return
        if must_wait:
            self._turns.not_taken(handling, call)
        else:
            # Its row has the number of conflicts.
            call.conflicts = 0
            self._call_again(handling, call)

    def _call_new_tasks(self, handling: Handling, touched: Touched) -> None:
        """Calls tasks that were registered between resolving the event and its commit."""
        for task in handling.tasks:
            task_id = task.task_id
            row = handling.facts.deliveries.get(task_id)
            # Not a retry: its claim will take it in hand.
            ours = (
                row is not None
                and row.leased_by == self._router_id
                and (row.attempts, row.edit, row.suspect) == (0, 0, False)
            )
            if (
                (handling.facts.in_outbox or ours)
                and task_id not in handling.calls
                and task_id not in touched.verdicts
                and task_id not in touched.rows
            ):
                call = DeliveryCall(task)
                handling.calls[task_id] = call
                self._call_again(handling, call)

    def _conclude_result(self, handling: Handling, call: DeliveryCall, verdict: Verdict) -> None:
        self._meters.concluded(call, verdict)
        if verdict is Verdict.WAIT:
            self._turns.result_waits(handling)
        elif verdict is Verdict.CONFLICT:
            call.conflicts += 1
            log.debug("conflict", event_id=handling.event_id, task_id=call.task.task_id)
            if call.conflicts < CONFLICTS_BEFORE_TURN and not self._turns.are_wanted(
                handling.state
            ):
                self._contests.lost(handling, call)
            else:
                self._turns.lost(handling, call)
            call.result = None
        else:
            self.results += 1
            del handling.calls[call.task.task_id]
            if verdict is Verdict.DUPLICATE:
                # The delivery may have been claimed for a later attempt while this one was in doubt.
                self._in_doubt.set()
            self._log.concluded(handling, call, verdict)
