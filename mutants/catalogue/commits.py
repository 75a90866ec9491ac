"""What stands and falls together: the statement, the lock, the outbox, the acknowledgement. M1 to M15 are
the faults that every engine of this kind has had."""

from mutants.mutant import Mutant

STATEMENTS = "core/store/statements.py"
COMMITTER = "router/committer.py"
LOCKED = "core/store/locked.py"

MUTANTS = (
    Mutant(
        "m1_announced_before_the_commit",
        "M1: events are announced when they are committed, never before",
        COMMITTER,
        (
            (
                "            if fast:\n                keys = await self._write(fast)\n",
                "            if fast:\n"
                "                self._relay.committed([g.commit for g in fast if g.commit])\n"
                "                keys = await self._write(fast)\n",
            ),
        ),
        killers=("tests/router/test_relay.py::test_nothing_is_announced_before_it_is_committed",),
    ),
    Mutant(
        "m2_no_outbox",
        "M2: an event and its outbox row are one statement with what raised it",
        STATEMENTS,
        (
            (
                '    FROM {_OUTBOX_INPUT.format(key="bigint")} WHERE {_WRITTEN.format(of="o")}\n',
                '    FROM {_OUTBOX_INPUT.format(key="bigint")} WHERE false\n',
            ),
        ),
        killers=("tests/store/test_engine.py::test_what_was_decided_is_stored",),
    ),
    Mutant(
        "m2_no_outbox_at_the_start",
        "M2: a start writes its event's outbox row in the same statement",
        STATEMENTS,
        (
            (
                '    FROM {_OUTBOX_INPUT.format(key="text")} JOIN written w ON w.workflow_instance_id = o.key\n',
                '    FROM {_OUTBOX_INPUT.format(key="text")} JOIN written w ON false\n',
            ),
        ),
        killers=(
            "tests/store/test_engine.py::test_a_start_is_an_instance_an_event_and_an_outbox_row",
        ),
    ),
    Mutant(
        "m3_no_revision_check",
        "M3: the fast form writes an instance only at exactly the revision it was decided from",
        STATEMENTS,
        (("    WHERE i.revision = x.before\n      AND (NOT", "    WHERE (NOT"),),
        killers=(
            "tests/store/test_engine.py::test_an_instance_that_moved_is_not_written_and_others_are",
        ),
    ),
    Mutant(
        "m3_no_row_lock",
        "M3: the second form decides under the instance's row lock",
        STATEMENTS,
        (
            (
                'LOCK_BY_KEY = f"SELECT {INSTANCE_COLUMNS} FROM workflow_instances i WHERE key = %s FOR UPDATE"',
                'LOCK_BY_KEY = f"SELECT {INSTANCE_COLUMNS} FROM workflow_instances i WHERE key = %s"',
            ),
        ),
        killers=(
            "tests/store/test_engine_locked.py::test_routers_that_race_for_one_instance_lose_no_update",
        ),
    ),
    Mutant(
        "m3_no_row_lock_for_clients",
        "M3: what a client changes is decided under the instance's row lock",
        STATEMENTS,
        (
            (
                "WHERE namespace = %s AND workflow_instance_id = %s FOR UPDATE",
                "WHERE namespace = %s AND workflow_instance_id = %s",
            ),
        ),
        survives="The statement that writes checks the revision too: who decided without the lock writes nothing and decides again",
    ),
    Mutant(
        "m4_facts_before_the_lock",
        "M4: where events stand is read after the lock, in a later statement",
        LOCKED,
        (
            (
                "    if key is not None:\n        cursor = await connection.execute(statements.LOCK_BY_KEY",
                "    early = await facts(connection, event_ids) if event_ids else {}\n"
                "    if key is not None:\n        cursor = await connection.execute(statements.LOCK_BY_KEY",
            ),
            (
                "    known = await facts(connection, event_ids) if event_ids else {}\n",
                "    known = early\n",
            ),
        ),
        killers=(
            "tests/store/test_engine_locked.py::test_who_waited_for_the_lock_sees_all_that_the_other_wrote",
        ),
    ),
    Mutant(
        "m5_no_dedupe",
        "M5: a result of a delivery that has its outcome takes no effect",
        "domain/results.py",
        (
            (
                "    if row is None or row.edit != result.edit or row.state is DeliveryState.DEAD:\n"
                "        return Verdict.DUPLICATE\n",
                "    if row is None:\n"
                "        row = Delivery(event.event_id, result.task.task_id, DeliveryState.LEASED, leased_by=router_id)\n",
            ),
        ),
        killers=("tests/domain/test_results.py::test_a_result_that_comes_again_changes_nothing",),
    ),
    Mutant(
        "m6_acked_before_the_commit",
        "M6: a message is acknowledged when its events are safe, not when they are in hand",
        "router/intake.py",
        (
            (
                "        handling.messages += messages\n        self._admission.admit(\n",
                "        for message in messages:\n"
                "            message.release()\n"
                "        self._admission.admit(\n",
            ),
        ),
        killers=(
            "tests/router/test_relay.py::test_messages_are_acknowledged_when_what_came_of_them_is_committed",
        ),
    ),
    Mutant(
        "m7_a_confirm_is_proof",
        "M7: a confirmed event that is not settled becomes due again",
        STATEMENTS,
        (("FIRST_WAIT = \"interval '60 s'\"", "FIRST_WAIT = \"interval '60 years'\""),),
        killers=(
            "tests/store/test_engine_sweeps.py::test_what_was_announced_and_is_not_settled_is_due_again_a_minute_later",
        ),
    ),
    Mutant(
        "m8_not_mandatory",
        "M8: a message that no queue takes comes back",
        "core/broker/publisher.py",
        (
            (
                "                properties,\n                True,\n",
                "                properties,\n                False,\n",
            ),
        ),
        killers=(
            "tests/broker/test_amqp.py::test_a_message_that_no_queue_takes_is_returned_and_the_queue_comes_back",
        ),
    ),
    Mutant(
        "m9_a_late_result_overwrites",
        "M9: a dead letter is final for its attempts: a late answer changes nothing",
        "domain/results.py",
        ((" or row.state is DeliveryState.DEAD:\n", ":\n"),),
        killers=("tests/domain/test_results.py::test_a_result_that_comes_again_changes_nothing",),
    ),
    Mutant(
        "m10_no_sweeping",
        "M10: what was announced and is not settled is announced again",
        "router/sweeper.py",
        (("                (EVENTS_EVERY, self._events, None),\n", ""),),
        killers=("tests/router/test_relay.py::test_what_is_due_is_announced_again",),
    ),
    Mutant(
        "m11_attempts_in_memory",
        "M11: attempts are counted in Postgres",
        "domain/failures.py",
        (
            (
                "row = replace(row, attempts=attempts, leased_by=None, due_in=0.0, last_error=stored)",
                "row = replace(row, leased_by=None, due_in=0.0, last_error=stored)",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_errors_are_retried_and_then_dead_lettered_with_their_cause",
        ),
    ),
    Mutant(
        "m12_cancelled_commits",
        "M12: nothing of an instance that has ended takes effect, but for what its end raised",
        "domain/lifecycle.py",
        (("    if instance.status.is_open or event.after_end:\n", "    if True:\n"),),
        killers=("tests/domain/test_lifecycle.py",),
    ),
    Mutant(
        "m13_lease_by_the_own_clock",
        "M13: leases go by the database's clock",
        "core/store/membership.py",
        (
            (
                '            "lease": lease_seconds,\n            "calls"',
                '            "until": datetime.now(UTC) + timedelta(seconds=lease_seconds),\n'
                '            "lease": lease_seconds,\n            "calls"',
            ),
            (
                "VALUES (%(id)s::uuid, %(pool)s, %(host)s, now() + make_interval(secs => %(lease)s), %(calls)s,",
                "VALUES (%(id)s::uuid, %(pool)s, %(host)s, %(until)s, %(calls)s,",
            ),
            (
                "from collections.abc import Sequence\n",
                "from collections.abc import Sequence\nfrom datetime import UTC, datetime, timedelta\n",
            ),
        ),
        killers=("tests/house/test_clocks.py::test_the_clock_of_a_process_decides_nothing",),
    ),
    Mutant(
        "a_past_shows_what_is_open_now",
        "An instance as it was shows nothing of the groups that are open now",
        "domain/fold.py",
        (("            groups=(),\n", ""),),
        killers=("tests/domain/test_fold.py::test_nothing_of_what_is_open_now_is_shown_of_then",),
    ),
    Mutant(
        "m14_outbox_by_cursor",
        "M14: the outbox is claimed by what is due, not from where the last look ended",
        "core/store/sweeps.py",
        (
            (
                '        query = _CLAIM_DUE.format(among=event_types.among(types, "outbox"))\n'
                "        return [_due(row) for row in await claim(self._pool, query, parameters)]\n",
                '        among = event_types.among(types, "outbox")\n'
                "        last = getattr(self, '_last', '00000000-0000-0000-0000-000000000000')\n"
                "        query = _CLAIM_DUE.format(among=f\"{among} AND event_id > '{last}'\")\n"
                "        found = [_due(row) for row in await claim(self._pool, query, parameters)]\n"
                "        self._last = max([last, *(due.event_id for due in found)])\n"
                "        return found\n",
            ),
        ),
        killers=(
            "tests/store/test_engine_sweeps.py::test_each_announcement_doubles_the_wait_up_to_ten_minutes",
        ),
    ),
    Mutant(
        "m15_a_lock_during_the_call",
        "M15: no connection and no lock is held while a task is called",
        "router/calls.py",
        (
            ("        if call.task.history_entries:\n", "        if True:\n"),
            (
                "        else:\n            self._try_to_send(handling, call, place, history)\n",
                "        else:\n"
                "            async with self._store.locked(key=handling.state.instance.key):\n"
                "                self._try_to_send(handling, call, place, history)\n"
                "                if call.running is not None:\n"
                "                    await call.running.outcome\n",
            ),
        ),
        killers=("tests/router/test_deliveries.py::test_no_lock_is_held_while_a_task_is_in_call",),
    ),
    Mutant(
        "idleness_is_not_marked",
        "An instance that nothing will move is marked idle, in the commit that made it so",
        "domain/draft.py",
        (("            self._notice_idle()\n", ""),),
        killers=(
            "tests/domain/test_results.py::test_an_unhandled_event_leaves_the_instance_idle_and_says_so",
        ),
    ),
    Mutant(
        "idle_beside_a_dead_letter",
        "An instance with an open dead letter is not idle",
        "domain/idle.py",
        (
            (
                "(unsettled or dead_letters or timers)",
                "(unsettled or timers)",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_one_failing_delivery_holds_back_no_other_of_its_event",
            "tests/domain/test_actions.py::test_the_last_discard_leaves_an_instance_idle_with_a_reason",
        ),
    ),
    Mutant(
        "idle_beside_a_timer",
        "An instance that waits for a time is not idle",
        "domain/idle.py",
        (("(unsettled or dead_letters or timers)", "(unsettled or dead_letters)"),),
        survives="Whatever sets such a timer keeps the instance open by itself: a delayed event is unsettled, a wait is a status, a group has something open",
    ),
    Mutant(
        "a_change_is_not_in_history",
        "Folding history gives the data back: each entry has the change as stored",
        "domain/history.py",
        (
            (
                '"change": [to_json(each) for each in operations] if operations is not None else None,',
                '"change": None,',
            ),
        ),
        killers=(
            "tests/domain/test_actions.py::test_an_answer_is_merged_and_the_last_one_ends_the_waiting",
        ),
    ),
    Mutant(
        "no_limit_of_events",
        "An instance that feeds itself stops at its limit, with a reason",
        "domain/draft.py",
        (
            (
                "        if self.instance.event_count + more > self.rules.max_events:\n",
                "        if False:\n",
            ),
        ),
        killers=(
            "tests/domain/test_results.py::test_an_answer_that_breaks_a_rule_fails_permanently_and_nothing_of_it_takes_effect",
        ),
    ),
)
