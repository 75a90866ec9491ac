"""Faults that were found in the engine and mended, each put back."""

from mutants.mutant import Mutant

CLAIMS = "router/claims.py"
RECONCILER = "router/reconciler.py"
LOST_LEASES = "tests/router/test_lost_leases.py::"

MUTANTS = (
    Mutant(
        "h1_nobody_compares",
        "A router compares what is leased to it with what it has in hand",
        RECONCILER,
        (("            if nobodys:\n", "            if False:\n"),),
        killers=(
            LOST_LEASES + "test_what_a_claim_leased_whose_answer_was_lost_is_called",
            LOST_LEASES
            + "test_a_retry_that_is_claimed_while_the_commit_that_made_it_is_repeated_is_called",
        ),
    ),
    Mutant(
        "h1_what_is_being_claimed_is_nobodys",
        "What a claim that is under way may have leased is not given back before it has ended",
        RECONCILER,
        (("        if self._claims.have_ended(begun):\n", "        if True:\n"),),
        killers=("tests/router/test_lost_leases.py::test_what_is_being_claimed_is_not_given_back",),
    ),
    Mutant(
        "h1_what_is_committed_is_nobodys",
        "A lease whose result is being committed is not given back",
        RECONCILER,
        (
            (
                "            row.task_id in handling.calls or self._committer.has(handling)\n        ):\n            return False\n",
                "            row.task_id in handling.calls\n        ):\n            return False\n",
            ),
        ),
        killers=(
            "tests/router/test_lost_leases.py::test_what_a_commit_leased_is_not_given_back_before_the_router_knows_of_it",
        ),
    ),
    Mutant(
        "h1_a_claim_meanwhile_is_not_noticed",
        "A commit that was decided before a claim says nothing of what the claim leased",
        CLAIMS,
        (
            (
                "        handling.claimed_meanwhile = self._committer.has(handling)\n",
                "        handling.claimed_meanwhile = False\n",
            ),
        ),
        survives="A fast commit that would be decided by what was known before the claim is empty, and what is empty is decided under the lock",
    ),
    Mutant(
        "h1_one_bad_delivery_takes_its_neighbours",
        "Of claimed deliveries one that makes trouble is put off alone",
        CLAIMS,
        (("            if len(claimed) > 1:\n", "            if False:\n"),),
        survives="The reconciler gives back what was claimed and is in nobody's hand, and it is claimed again: slower, and nothing stays behind",
    ),
    Mutant(
        "h3_a_callback_that_raises",
        "Whatever an answer's conversion raises ends its attempt",
        "router/calls.py",
        (
            (
                "            self._fail(handling, call, fault)\n        finally:\n",
                "            raise fault\n        finally:\n",
            ),
        ),
        killers=(
            "tests/router/test_outcomes.py::test_an_outcome_that_cannot_be_understood_is_a_failed_attempt_and_frees_its_place",
        ),
    ),
    Mutant(
        "h3_the_year_10000",
        "What is no time between the years 1 and 9999 is refused at every door",
        "conversion/times.py",
        (
            (
                "    if not FIRST_SECOND <= value.seconds <= LAST_SECOND or not 0 <= value.nanos < _NANOS:\n",
                "    if False:\n",
            ),
        ),
        killers=("tests/rpc/test_times.py::test_what_is_no_time_is_refused",),
    ),
    Mutant(
        "h3_what_was_not_foreseen_is_internal",
        "Whatever a conversion of a request raises is the request's fault",
        "conversion/unexpected.py",
        (("            except Exception:\n", "            except ZeroDivisionError:\n"),),
        killers=(
            "tests/rpc/test_times.py::test_what_no_check_foresaw_in_a_request_is_the_requests_fault",
        ),
    ),
    Mutant(
        "h4_a_loop_dies_in_silence",
        "A background loop that fails begins again, or its process says so and ends",
        "core/background/owned.py",
        (
            (
                "            except Exception as raised:\n                fault = raised\n",
                "            except Exception:\n                return\n",
            ),
        ),
        killers=("tests/background/test_owned.py::test_a_loop_that_fails_begins_again",),
    ),
    Mutant(
        "h5_an_outage_is_the_tasks_fault",
        "Only what the data itself causes is a result's fault; everything else is an outage",
        "core/store/faults.py",
        (
            (
                "    return state[:2] in _DATA or state in _TOO_LARGE\n",
                '    return state[:2] in _DATA or state in _TOO_LARGE or state[:2] in ("25", "42", "XX")\n',
            ),
        ),
        killers=("tests/store/test_faults.py::test_only_the_data_s_own_fault_is_a_refusal",),
    ),
    Mutant(
        "h6_counted_when_it_is_built",
        "What a message may hold is decided before it is built",
        "core/rpc/message_reader.py",
        (
            (
                "                    if self._nodes_left < 0:\n",
                "                    if False:\n",
            ),
        ),
        killers=(
            "tests/rpc/test_message_reader.py::test_what_is_too_wide_is_refused_after_what_a_message_may_hold",
        ),
    ),
    Mutant(
        "h7_stopping_has_no_deadline",
        "Stopping has one deadline over all of it",
        "core/rpc/process.py",
        (("        clock.start()\n", "        pass\n"),),
        killers=("tests/rpc/test_stopping.py::test_what_does_not_end_in_time_is_left_where_it_is",),
    ),
    Mutant(
        "h8_everything_is_given_back",
        "Exactly what was claimed is given back: calls in flight stay",
        CLAIMS,
        (
            (
                "        except StoreUnavailable:\n            raise\n",
                "        except StoreUnavailable:\n"
                "            await self._store.leave(self._router_id)\n"
                "            raise\n",
            ),
        ),
        killers=(LOST_LEASES + "test_one_failed_load_gives_back_nothing_that_is_in_call",),
    ),
    Mutant(
        "h9_a_batch_that_fails_is_dropped",
        "A batch that can't be loaded is taken apart: one bad event keeps no other",
        "router/intake.py",
        (
            (
                "            for event_id in event_ids:\n"
                "                await self._load_or_leave([event_id], suspects)\n"
                "            return\n",
                "            for event_id in event_ids:\n"
                "                self._leave(event_id, self._loading.pop(event_id))\n"
                "            return\n",
            ),
        ),
        killers=(
            "tests/router/test_intake.py::test_one_event_that_cannot_be_loaded_keeps_no_other_of_its_batch",
        ),
    ),
    Mutant(
        "h11_conflicts_without_a_turn",
        "Who has lost often enough is called again once it has the turn, and not before",
        "router/conclusions.py",
        (
            (
                "                self._turns.lost(handling, call)\n",
                "                self._call_again(handling, call)\n",
            ),
        ),
        killers=(
            "tests/router/test_deliveries.py::test_a_delivery_that_lost_three_times_has_the_turn",
        ),
    ),
    Mutant(
        "h23_coming_back_makes_newer",
        "What counts as newer is when a process began, not when it was heard last",
        "core/store/registrations.py",
        (
            (
                "    return min(began_at, after_all) if began_at is not None else after_all\n",
                "    return after_all\n",
            ),
        ),
        killers=(
            "tests/store/test_registry.py::test_coming_back_makes_no_process_newer_and_every_live_one_is_considered",
        ),
    ),
    Mutant(
        "h28_only_exceptions_are_answers",
        "Whatever a task raises ends its attempt at once",
        "worker_sdk/invocation.py",
        (
            (
                "        return await function(context)\n"
                "    except KeyboardInterrupt:\n"
                "        raise\n"
                "    except BaseException as error:\n",
                "        return await function(context)\n    except Exception as error:\n",
            ),
        ),
        killers=(
            "tests/worker_sdk/test_one_answer.py::test_whatever_a_task_does_is_answered_once_and_at_once",
        ),
    ),
    Mutant(
        "h30_a_given_up_thread_is_lost",
        "The thread of a call that was given up is replaced",
        "worker_sdk/invocation.py",
        (
            (
                "            give_up = partial(self._pool().give_up, worker)\n",
                "            give_up = partial(len, ())\n",
            ),
        ),
        killers=(
            "tests/worker_sdk/test_one_answer.py::test_a_thread_whose_call_was_given_up_is_replaced",
        ),
    ),
    Mutant(
        "what_was_raised_in_doubt_is_not_told",
        "What was raised under a lock, though the answer to it was lost, is announced at once",
        "core/decisions.py",
        (
            (
                "            self._relay.perhaps_committed(in_doubt)\n",
                "            pass\n",
            ),
        ),
        killers=(
            "tests/decisions/test_decisions.py::"
            "test_what_was_written_though_the_answer_was_lost_is_made_due",
        ),
    ),
    Mutant(
        "one_that_is_not_concluded_keeps_its_batch",
        "A fault in what follows the commit of one instance holds up no other one of its batch",
        "router/committer.py",
        (
            (
                "                handling.known = UNKNOWN\n            return False\n",
                "                pass\n            return True\n",
            ),
        ),
        killers=(
            "tests/router/test_conclusions.py::"
            "test_a_fault_after_the_commit_of_one_instance_holds_up_no_other",
        ),
    ),
)
