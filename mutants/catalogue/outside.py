"""What faces the outside: clients and their repeated requests, the registry, endpoints, the broker."""

from mutants.mutant import Mutant

DECISIONS = "core/decisions.py"
BULK = "api/dead_letters/bulk.py"
REGISTERING = "core/store/registrations.py"
ENGINE = "core/store/engine.py"

MUTANTS = (
    Mutant(
        "requests_are_not_remembered",
        "A repeated request has one effect",
        DECISIONS,
        (
            (
                "                    await locked.remember(\n"
                "                        request.rpc, request.request_id, request.digest, cast(JsonObject, answer)\n"
                "                    )\n",
                "                    pass\n",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::test_a_repeated_request_has_one_effect_and_one_answer",
        ),
    ),
    Mutant(
        "requests_are_remembered_without_their_body",
        "A request id with another body is refused",
        "core/store/locked.py",
        (("        if bytes(found[0][0]) != digest:\n", "        if False:\n"),),
        killers=(
            "tests/store/test_engine_locked.py::test_a_request_is_remembered_with_its_effect",
        ),
    ),
    Mutant(
        "a_repeated_start_starts_again",
        "A start that is repeated with its request id gives the instance that is there",
        ENGINE,
        (
            (
                '"(workflow_instance_id = %s OR start_request_id = %s) "',
                '"(workflow_instance_id = %s AND start_request_id IS NOT DISTINCT FROM %s) "',
            ),
        ),
        killers=(
            "tests/store/test_engine.py::test_a_batch_may_name_one_instance_or_request_twice",
        ),
    ),
    Mutant(
        "a_start_takes_over",
        "A start with an id in use and other content is refused",
        ENGINE,
        (("        same = bytes(row[0]) == start.digest\n", "        same = True\n"),),
        killers=(
            "tests/api/test_starts.py::test_the_same_content_is_the_same_instance_and_other_content_is_refused",
        ),
    ),
    Mutant(
        "starts_of_one_batch_hide_each_other",
        "Two starts of one id in one batch are one start and one repetition",
        ENGINE,
        (
            (
                "                if start.instance.workflow_instance_id in ids or not new_request:\n",
                "                if False:\n",
            ),
        ),
        killers=(
            "tests/store/test_engine.py::test_a_batch_may_name_one_instance_or_request_twice",
        ),
    ),
    Mutant(
        "a_start_that_cannot_be_written_fails_its_neighbours",
        "Of a batch of starts one that can't be written fails alone",
        "api/batches.py",
        (("            if len(batch) == 1:\n", "            if batch:\n"),),
        killers=("tests/api/test_batches.py::test_one_that_cannot_be_written_fails_alone",),
    ),
    Mutant(
        "versions_are_not_compared",
        "A change decided on another version is refused",
        "domain/actions.py",
        (("    if expected is not None and expected != instance.version:\n", "    if False:\n"),),
        killers=("tests/domain/test_actions.py::test_who_decided_on_another_version_is_refused",),
    ),
    Mutant(
        "the_backlog_has_no_bound",
        "Above the bound starts are refused",
        "api/workflows/backlog.py",
        (("        if self._is_full:\n            raise", "        if False:\n            raise"),),
        killers=(
            "tests/api/test_overload.py::test_a_full_backlog_refuses_new_work_until_it_has_drained",
        ),
    ),
    Mutant(
        "types_change_without_a_generation",
        "A registration that changes a task's types raises the generation",
        REGISTERING,
        (
            (
                "                    _types(spec) != _types(specs.get(spec.task_id)) for spec in registration.tasks\n",
                "                    False for spec in registration.tasks\n",
            ),
        ),
        killers=(
            "tests/store/test_registry.py::test_a_registration_is_in_the_snapshot_and_new_tasks_raise_the_generation",
        ),
    ),
    Mutant(
        "anybody_may_take_a_task",
        "A task belongs to one service",
        REGISTERING,
        (("        if spec.service_name != new.service_name:\n", "        if False:\n"),),
        killers=("tests/store/test_registry.py::test_a_task_belongs_to_one_service",),
    ),
    Mutant(
        "endpoints_get_what_the_newest_announced",
        "An endpoint gets only the tasks and types that it announced itself",
        "domain/task_table.py",
        (
            (
                "        and serves(task, workflow_type)\n"
                "        and any(matches(pattern, event_type) for pattern in task.event_types)\n"
                "        for task in tasks\n",
                "        for task in tasks\n",
            ),
        ),
        killers=(
            "tests/router_endpoints/test_pool.py::test_only_what_an_endpoint_announced_itself_is_sent_there",
        ),
    ),
    Mutant(
        "strangers_workflows_meet",
        "A task gets events of its workflow types only",
        "domain/task_table.py",
        (
            (
                "    return workflow_type in task.workflow_types or ONE_WORD in task.workflow_types\n",
                "    return True\n",
            ),
        ),
        killers=(
            "tests/router_endpoints/test_pool.py::test_only_what_an_endpoint_announced_itself_is_sent_there",
        ),
    ),
    Mutant(
        "catch_up_offers_again",
        "Catch-up offers a task each event once",
        "core/store/catch_up.py",
        (
            (
                "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = h.event_id AND d.task_id = {task_id})\n"
                "AND NOT EXISTS (SELECT 1 FROM history later\n"
                "    WHERE later.instance_key",
                "{task_id}::text IS NOT NULL AND {task_id}::text IS NOT NULL\n"
                "AND NOT EXISTS (SELECT 1 FROM history later\n"
                "    WHERE false AND later.instance_key",
            ),
        ),
        killers=(
            "tests/store/test_engine_locked.py::test_each_task_is_offered_an_unhandled_event_until_it_had_a_delivery_of_it",
        ),
    ),
    Mutant(
        "catch_up_looks_once",
        "Catch-up looks once more when commits that did not know the task are over",
        REGISTERING,
        (("spec.catch_up and spec.task_id in first_time,", "False,"),),
        killers=("tests/store/test_registry.py::test_a_first_registration_is_looked_at_once_more",),
    ),
    Mutant(
        "a_task_between_deploys_is_retired",
        "A task is retired only when no live endpoint declared it for the whole grace",
        "core/store/retirement.py",
        (
            (
                "now() - make_interval(secs => %(grace)s)\n",
                "now() - 0 * make_interval(secs => %(grace)s)\n",
            ),
        ),
        killers=(
            "tests/store/test_retirement.py::test_the_system_retires_what_nobody_declares_after_a_grace_and_takes_it_back",
        ),
    ),
    Mutant(
        "a_service_that_is_away_loses_its_tasks",
        "While its service has no live endpoint a task's deliveries wait",
        "core/store/retirement.py",
        (("      AND (t.service_name IN (SELECT service_name FROM live)) IS TRUE\n", ""),),
        killers=(
            "tests/store/test_retirement.py::test_what_other_services_declare_does_not_count",
        ),
    ),
    Mutant(
        "retiring_fails_the_workflow",
        "A retired task's deliveries become dead letters under CONTINUE",
        "domain/retirement.py",
        (
            (
                "        NewDeadLetter.of(draft.rules.providers.make_id(), row, event, error, OnFailure.CONTINUE)\n",
                "        NewDeadLetter.of(draft.rules.providers.make_id(), row, event, error, OnFailure.FAIL_WORKFLOW)\n",
            ),
        ),
        killers=(
            "tests/domain/test_retirement.py::test_what_waits_to_be_called_becomes_a_dead_letter_and_the_workflow_goes_on",
        ),
    ),
    Mutant(
        "retiring_takes_what_is_in_call",
        "A retired task's calls in flight finish and count",
        "domain/retirement.py",
        (("        if row.state in STAYS:\n            continue\n", ""),),
        killers=("tests/domain/test_retirement.py::test_what_is_in_call_finishes_and_counts",),
    ),
    Mutant(
        "a_bulk_request_counts_what_was_not_written",
        "Dead letters in bulk: what was done is counted with it, in one transaction",
        ENGINE,
        (("sum(tally.of.get(key, 0) for key in written.keys)", "sum(tally.of.values())"),),
        killers=(
            "tests/store/test_dead_letters.py::test_a_request_counts_what_was_written_for_it_and_nothing_else",
        ),
    ),
    Mutant(
        "a_copy_of_the_registry_is_the_registry",
        "Tasks are resolved in place only by the registry that the lock shows",
        DECISIONS,
        (
            (
                "is_current = locked.generation == self._registries.of(namespace).generation",
                "is_current = True",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::"
            "test_tasks_are_not_resolved_by_a_copy_that_is_not_the_registry_s",
        ),
    ),
    Mutant(
        "a_registry_that_moved_is_not_read_again",
        "What rests on a registry that moved is decided anew, by the one that is there now",
        DECISIONS,
        (
            (
                "                await self._registries.refresh_one(moved.namespace)\n",
                "                pass\n",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::"
            "test_a_decision_that_depends_on_a_changed_registry_is_made_again",
        ),
    ),
    Mutant(
        "a_twin_of_a_request_is_its_fault",
        "A request whose twin was committed first is answered as the twin was",
        DECISIONS,
        (("                if not remaining or request is None:\n", "                if True:\n"),),
        killers=(
            "tests/decisions/test_decisions.py::test_a_twin_that_came_first_gives_the_answer",
        ),
    ),
    Mutant(
        "letters_that_moved_are_forgotten",
        "What one transaction for many does not write is done alone",
        DECISIONS,
        (
            (
                "        remaining += [\n"
                "            commit.before.key for commit in commits if commit.before.key not in written.keys\n"
                "        ]\n",
                "",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::test_an_instance_that_moved_since_it_was_read_is_left",
        ),
    ),
    Mutant(
        "one_workflow_ends_a_bulk_command",
        "A workflow whose letters can't be resolved holds up no other",
        BULK,
        (("            walk.failure = walk.failure or error\n", "            raise\n"),),
        killers=(
            "tests/api/test_bulk_dead_letters.py::test_one_that_is_locked_for_too_long_is_set_aside",
        ),
    ),
    Mutant(
        "a_bulk_command_goes_through_an_outage",
        "A bulk command ends where the database serves nobody",
        BULK,
        (("                await self._store.probe()\n", "                pass\n"),),
        killers=(
            "tests/api/test_bulk_dead_letters.py::test_an_interrupted_request_is_continued_and_counted_as_one",
        ),
    ),
    Mutant(
        "an_empty_filter_means_everything",
        "A bulk command means all only where it says all",
        "api/filters.py",
        (("    if filter == every:\n", "    if False:\n"),),
        killers=(
            "tests/api/test_bulk_dead_letters.py::test_a_bulk_command_means_all_only_where_it_says_all",
        ),
    ),
    Mutant(
        "a_resolved_letter_is_resolved_again",
        "A dead letter is retried or discarded once; who comes later is told so",
        "core/store/locked.py",
        (("        if state is not DeadLetterState.OPEN:\n", "        if False:\n"),),
        killers=(
            "tests/api/test_changes.py::test_one_that_is_resolved_is_distinguished_from_one_that_is_not_there",
        ),
    ),
    Mutant(
        "a_portion_of_letters_cuts_one_off",
        "An instance that a portion of the walk over letters cut in two belongs to it",
        "core/store/dead_letters.py",
        (("sorted({*(keys or ()), last})", "sorted(keys or ())"),),
        killers=(
            "tests/store/test_dead_letters.py::test_instances_are_found_in_portions_of_dead_letters_looked_at",
        ),
    ),
    Mutant(
        "a_returned_message_is_confirmed",
        "A message that came back was taken by nobody",
        "core/broker/publisher.py",
        (
            (
                "            place[0].outcomes[place[1]] = AnnounceOutcome.RETURNED\n",
                "            pass\n",
            ),
        ),
        killers=(
            "tests/broker/test_amqp.py::test_a_message_that_no_queue_takes_is_returned_and_the_queue_comes_back",
        ),
    ),
    Mutant(
        "a_nack_is_a_confirm",
        "A message that the broker refused is not taken",
        "core/broker/publisher.py",
        (
            (
                "            if isinstance(method, pika.spec.Basic.Ack)\n            else AnnounceOutcome.UNCONFIRMED\n",
                "            if isinstance(method, pika.spec.Basic.Ack)\n            else AnnounceOutcome.CONFIRMED\n",
            ),
        ),
        killers=(
            "tests/broker/test_amqp.py::test_a_message_that_the_broker_refuses_is_not_confirmed",
        ),
    ),
    Mutant(
        "notices_are_not_given",
        "Whoever waits for an instance hears of it at once",
        "core/relay/relay.py",
        (("            self._broker.notify(self._notices(ends))\n", "            pass\n"),),
        killers=("tests/api/test_waiters.py::test_a_wait_ends_when_the_instance_does",),
    ),
    Mutant(
        "any_rabbitmq_will_do",
        "A RabbitMQ that is too old is refused in words",
        "core/broker/fitness.py",
        (("OLDEST = (3, 10)\n", "OLDEST = (3, 0)\n"),),
        killers=("tests/broker/test_fitness.py::test_only_what_is_known_to_be_too_old_is",),
    ),
    Mutant(
        "a_pooler_may_share_connections",
        "A pooler that gives each transaction another connection is refused",
        "core/store/fitness.py",
        (("if not lost and _share(work, questions):", "if False:"),),
        killers=(
            "tests/store/test_fitness.py::"
            "test_pgbouncer_is_refused_where_it_takes_from_connections_what_they_need",
        ),
    ),
    Mutant(
        "a_database_has_one_host",
        "After a failover the Postgres that writes is found among several hosts",
        "core/rpc/urls.py",
        (('named.split(",") if parts.scheme in DATABASES else [named]', "[named]"),),
        killers=("tests/rpc/test_settings.py::test_only_a_database_may_have_several_hosts",),
    ),
    Mutant(
        "a_table_in_use_is_no_connection",
        "Who migrates hears that a transaction uses a table",
        "cli/commands/migrate.py",
        (("said = _in_use if in_use else _unreachable", "said = _unreachable"),),
        killers=(
            "tests/cli/test_migrate.py::"
            "test_a_table_in_use_is_not_waited_for_while_others_wait_behind",
        ),
    ),
    Mutant(
        "wrong_settings_hide_the_parts",
        "What is wrong with settings, database and broker is told at once",
        "core/rpc/settings.py",
        (("raise BadSettings(faults, _known(whole, wrong))", "raise BadSettings(faults)"),),
        killers=(
            "tests/rpc/test_settings.py::"
            "test_settings_that_do_not_fit_each_other_are_reported_with_the_wrong_ones",
        ),
    ),
)
