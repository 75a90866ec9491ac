"""The flow of events: built from specs and history, each edge once; linted without false alarms."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain import lifecycle, topics
from waystation_domain.flow.findings import ENOUGH, Finding, Rule, Severity
from waystation_domain.flow.graph import (
    MAX_FLOWS,
    MAX_STRAY_TYPES,
    MAX_WRITES,
    Flow,
    HandledBy,
    Observations,
    Origin,
    RaisedBy,
    build,
)
from waystation_domain.flow.lint import lint
from waystation_domain.model import CLIENT, SYSTEM, Result
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable, serves

TYPE = "claim"


def spec(
    task_id: str, *events: str, emits: str = "", types: str = TYPE, **more: object
) -> TaskSpec:
    return TaskSpec(
        task_id,
        f"{task_id}-service",
        events,
        tuple(types.split()),
        may_emit=tuple(emits.split()),
        **more,  # type: ignore[arg-type]
    )


class Seen:
    """Observations of one workflow type, told as edges."""

    def __init__(self, instances: int = ENOUGH, workflow_type: str = TYPE) -> None:
        self.type = workflow_type
        self.all = Observations(instances=Counter({workflow_type: instances}))

    def raised(self, by: str, event_type: str, count: int = 1) -> Seen:
        self.all.raised[self.type, by, event_type] += count
        return self

    def handled(
        self, event_type: str, by: str, result: Result = Result.SUCCESS, count: int = ENOUGH
    ) -> Seen:
        self.all.handled[self.type, event_type, by, result, False] += count
        return self

    def wrote(self, task_id: str, *writes: str) -> Seen:
        for write in writes:
            kind, path = write.split(" ")
            self.all.written[self.type, task_id, path, kind] += 1
        return self


def found(
    *specs: TaskSpec, seen: Seen | None = None, live: set[str] | None = None
) -> dict[tuple[Rule, tuple[str, ...]], Finding]:
    """What lint says, by rule and subjects."""
    told = (seen or Seen(0)).all
    flows, _ = build(specs, {one.task_id for one in specs} if live is None else live, told)
    findings = lint(flows)
    by_subject = {(one.rule, one.subjects): one for one in findings}
    assert len(by_subject) == len(findings)
    return by_subject


# --- every flow --------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "a.*", "#", "workflow.started"])
EXACT = st.sampled_from(["a", "b", "a.b", "b.a", "c.a", *lifecycle.EVENT_OF_STATUS.values()])
TYPES = st.sampled_from(["t", "u", "v"])
BY = st.sampled_from(["one", "two", "gone", CLIENT, SYSTEM])
PATHS = st.sampled_from(["", "/a", "/a/b", "/c"])
SPECS = st.lists(
    st.builds(
        TaskSpec,
        st.sampled_from(["one", "two", "three"]),
        st.just("service"),
        st.lists(NAMES, min_size=1, max_size=3, unique=True).map(tuple),
        st.lists(TYPES | st.just("*"), min_size=1, max_size=2, unique=True).map(tuple),
        may_emit=st.lists(NAMES, max_size=3).map(tuple),
        writes=st.none() | st.lists(PATHS, max_size=2).map(tuple),
    ),
    max_size=3,
    unique_by=lambda one: one.task_id,
)
COUNTS = st.integers(1, 30)
OBSERVATIONS = st.builds(
    Observations,
    st.dictionaries(TYPES, COUNTS).map(Counter),
    st.dictionaries(st.tuples(TYPES, BY, EXACT), COUNTS).map(Counter),
    st.dictionaries(
        st.tuples(TYPES, EXACT, BY, st.sampled_from(Result), st.booleans()), COUNTS
    ).map(Counter),
    st.dictionaries(
        st.tuples(TYPES, BY, PATHS, st.sampled_from(["set", "append", "increment"])), COUNTS
    ).map(Counter),
)
LIVE = st.sets(st.sampled_from(["one", "two", "three"]))


@given(SPECS, OBSERVATIONS, LIVE)
def test_each_edge_is_there_once_and_nothing_is_lost(
    specs: list[TaskSpec], seen: Observations, live: set[str]
) -> None:
    flows, left_out = build(specs, live, seen)
    assert left_out == 0
    assert [flow.workflow_type for flow in flows] == sorted({one.workflow_type for one in flows})
    table = TaskTable(specs)
    for flow in flows:
        raises = [(edge.raised_by, edge.event_type) for edge in flow.raises]
        handlings = [(edge.event_type, edge.task_id) for edge in flow.handlings]
        events = [event.event_type for event in flow.events]
        tasks = [task.task_id for task in flow.tasks]
        for ordered in (raises, handlings, events, tasks):
            assert ordered == sorted(set(ordered))
        # Every end of an edge is a node, and every event that was seen leads where the router leads it.
        assert {event for _, event in raises} | {event for event, _ in handlings} <= set(events)
        assert {task for _, task in handlings} <= set(tasks)
        assert {by for by, _ in raises} <= {*tasks, CLIENT, SYSTEM}
        assert {one.task_id for one in specs if serves(one, flow.workflow_type)} <= set(tasks)
        for event in events:
            if not topics.is_pattern(event):
                declared = {
                    edge.task_id
                    for edge in flow.handlings
                    if edge.event_type == event and edge.origin.declares
                }
                resolved = table.resolve(event, flow.workflow_type)
                assert declared == {one.task_id for one in resolved}
    of_flows = {flow.workflow_type for flow in flows}
    assert seen.instances.keys() <= of_flows
    raised = sum(edge.count for flow in flows for edge in flow.raises)
    assert raised == sum(n for (of, *_), n in seen.raised.items() if of in of_flows)
    handled = sum(
        edge.succeeded + edge.failed_attempts + edge.skipped
        for flow in flows
        for edge in flow.handlings
    )
    assert handled == sum(
        n
        for (of, _, by, result, again), n in seen.handled.items()
        if of in of_flows
        and by != SYSTEM
        # Other attempts follow failures only, and a task's own entries are never UNHANDLED.
        and (result is Result.FAILED or (not again and result is not Result.UNHANDLED))
    )


@given(SPECS, OBSERVATIONS, LIVE, st.randoms(use_true_random=False))
def test_lint_never_fails_and_says_the_same_in_any_order(
    specs: list[TaskSpec], seen: Observations, live: set[str], chance: object
) -> None:
    findings = lint(build(specs, live, seen)[0])
    chance.shuffle(specs)  # type: ignore[attr-defined]
    again = Observations()
    for part in (Observations(raised=seen.raised), Observations(handled=seen.handled)):
        again.add(part)
    again.add(Observations(instances=seen.instances, written=seen.written))
    assert lint(build(specs, live, again)[0]) == findings
    assert len(set(findings)) == len(findings)
    assert [one.severity for one in findings] == sorted(
        (one.severity for one in findings), reverse=True
    )


def test_what_is_too_much_is_left_out_and_counted() -> None:
    task = spec("a", "workflow.started")
    seen = Seen().raised(CLIENT, "often", 2)
    for number in range(MAX_STRAY_TYPES):
        seen.raised(CLIENT, f"stray.{number}")
    for number in range(MAX_WRITES + 2):
        seen.wrote("a", f"set /{number}")
    for number in range(MAX_FLOWS):
        seen.all.instances[f"type-{number}"] = 1
    flows, left_out = build([task], {"a"}, seen.all)
    assert left_out == 1 + 2 + 1
    assert len(flows) == MAX_FLOWS
    (flow,) = [one for one in flows if one.workflow_type == TYPE]
    assert "often" in {event.event_type for event in flow.events}
    assert len(flow.tasks[0].writes) == MAX_WRITES


# --- one flow ----------------------------------------------------------------------------------


def the_flow(*specs: TaskSpec, seen: Seen | None = None) -> Flow:
    (flow,), _ = build(specs, {one.task_id for one in specs}, (seen or Seen(0)).all)
    return flow


def test_an_edge_shows_how_it_is_known_and_with_which_result() -> None:
    seen = (
        Seen(3)
        .raised(CLIENT, "workflow.started", 3)
        .raised("read", "claim.read", 2)
        .handled("workflow.started", "read", count=2)
        .handled("workflow.started", "read", Result.FAILED, count=1)
        .handled("claim.read", "old", count=1)
        .handled("claim.read", SYSTEM, Result.SKIPPED, count=1)
    )
    seen.all.handled[TYPE, "workflow.started", "read", Result.FAILED, True] = 4
    flow = the_flow(
        spec("read", "workflow.started", emits="claim.read claim.rejected"),
        spec("score", "claim.read"),
        seen=seen,
    )
    assert flow.raises == (
        RaisedBy(CLIENT, "workflow.started", Origin.BOTH, 3),
        RaisedBy("read", "claim.read", Origin.BOTH, 2),
        RaisedBy("read", "claim.rejected", Origin.DECLARED, 0),
    )
    assert flow.handlings == (
        HandledBy("claim.read", "old", Origin.OBSERVED, succeeded=1),
        HandledBy("claim.read", "score", Origin.DECLARED),
        HandledBy(
            "workflow.started", "read", Origin.BOTH, succeeded=2, failed_attempts=5, dead_letters=1
        ),
    )
    assert [(task.task_id, task.live, task.spec is None) for task in flow.tasks] == [
        ("old", False, True),
        ("read", True, False),
        ("score", True, False),
    ]
    assert (flow.events[0].raised, flow.events[0].skipped) == (2, 1)


def test_tasks_of_all_types_are_part_of_every_flow() -> None:
    everywhere = spec("audit", "#", types="*")
    assert [one.workflow_type for one in build([everywhere], set(), Observations())[0]] == ["*"]
    flows, _ = build([everywhere, spec("a", "x")], set(), Observations())
    assert [(one.workflow_type, len(one.tasks)) for one in flows] == [(TYPE, 2)]
    (asked,), _ = build([everywhere], set(), Observations(), requested="other")
    assert asked.workflow_type == "other"


# --- lint --------------------------------------------------------------------------------------

READ = spec("read", "workflow.started", emits="claim.read")
SCORE = spec("score", "claim.read", emits="workflow.completed")


def test_a_sound_flow_has_no_findings() -> None:
    assert found(READ, SCORE) == {}


def test_an_event_that_nobody_handles_is_an_error_with_a_suggestion() -> None:
    misspelt = spec("read", "workflow.started", emits="claim.reed")
    finding = found(misspelt, SCORE)[Rule.EMITTED_UNHANDLED, ("claim.reed",)]
    assert (finding.severity, finding.suggestion) == (Severity.ERROR, "claim.read")
    assert "did you mean `claim.read`?" in finding.message
    seen = Seen().raised("read", "noted").handled("noted", SYSTEM, Result.UNHANDLED, 7)
    finding = found(READ, SCORE, seen=seen)[Rule.EMITTED_UNHANDLED, ("noted",)]
    assert (finding.severity, finding.suggestion) == (Severity.ERROR, "")
    assert "7 settled as UNHANDLED" in finding.message


@pytest.mark.parametrize(
    ("seen", "event_type"),
    [
        (Seen().raised(CLIENT, "poke"), "poke"),
        (Seen().raised("gone", "old.event"), "old.event"),
        (Seen().raised("read", "old.event").handled("old.event", "gone"), "old.event"),
        (
            Seen()
            .raised(CLIENT, "user.input.provided")
            .handled("user.input.provided", SYSTEM, Result.UNHANDLED),
            "user.input.provided",
        ),
    ],
    ids=["a client's", "an old release's", "handled by an old release", "an answer"],
)
def test_what_is_not_certain_is_a_warning(seen: Seen, event_type: str) -> None:
    finding = found(READ, SCORE, seen=seen)[Rule.EMITTED_UNHANDLED, (event_type,)]
    assert finding.severity is Severity.WARNING


def test_the_systems_own_events_need_no_task() -> None:
    seen = Seen().raised("score", "workflow.completed").raised(CLIENT, "user.input.provided")
    assert not [rule for rule, _ in found(READ, SCORE, seen=seen) if rule is Rule.EMITTED_UNHANDLED]


def test_a_task_of_several_types_need_not_be_answered_in_each() -> None:
    both = spec("read", "workflow.started", emits="claim.read", types="claim car")
    finding = found(both, SCORE)[Rule.EMITTED_UNHANDLED, ("claim.read",)]
    assert (finding.severity, finding.workflow_types) == (Severity.INFO, ("car",))


def test_awaited_types_that_are_never_raised_are_reported_as_far_as_known() -> None:
    waits = spec("score", "claim.read", "claim.checked", "risk.*", emits="workflow.completed")
    findings = found(READ, waits)
    for awaited in ("claim.checked", "risk.*"):
        finding = findings[Rule.AWAITED_NEVER_EMITTED, (awaited, "score")]
        assert finding.severity is Severity.WARNING
    silent = spec("other", "claim.read")
    finding = found(READ, waits, silent)[Rule.AWAITED_NEVER_EMITTED, ("risk.*", "score")]
    assert finding.severity is Severity.INFO
    assert "the events of other are not known" in finding.message
    enough = Seen().handled("claim.read", "other")
    finding = found(READ, waits, silent, seen=enough)[
        Rule.AWAITED_NEVER_EMITTED, ("risk.*", "score")
    ]
    assert finding.severity is Severity.WARNING
    assert (Rule.AWAITED_NEVER_EMITTED, ("risk.*", "score")) not in found(
        READ, waits, silent, seen=Seen().raised(CLIENT, "risk.scored")
    )


def test_a_misspelt_awaited_type_is_reported_with_a_suggestion() -> None:
    late = spec("late", "claim.raed", emits="workflow.completed")
    finding = found(READ, SCORE, late)[Rule.AWAITED_NEVER_EMITTED, ("claim.raed", "late")]
    assert (finding.severity, finding.suggestion) == (Severity.WARNING, "claim.read")


def test_two_writers_are_reported_by_whether_they_can_meet() -> None:
    other = spec("other", "claim.read", emits="workflow.completed")
    seen = (
        Seen()
        .wrote("score", "set /score", "append /log")
        .wrote("other", "set /score/points", "append /log", "set /own")
    )
    finding = found(READ, SCORE, other, seen=seen)[Rule.TWO_WRITERS, ("other", "score")]
    assert finding.severity is Severity.WARNING
    assert finding.paths == ("/score", "/score/points")
    assert "both handle `claim.read`" in finding.message
    after = Seen().wrote("read", "set /a").wrote("score", "set /a")
    finding = found(READ, SCORE, seen=after)[Rule.TWO_WRITERS, ("read", "score")]
    assert (finding.severity, finding.paths) == (Severity.INFO, ("/a",))
    commuting = Seen().wrote("score", "increment /n").wrote("other", "increment /n")
    assert not [r for r, _ in found(READ, SCORE, other, seen=commuting) if r is Rule.TWO_WRITERS]


def test_who_takes_an_answer_follows_from_who_asks() -> None:
    ask = spec("ask", "claim.read", emits="workflow.waiting_for_input")
    take = spec("take", "user.input.provided", emits="workflow.completed")
    seen = Seen().wrote("read", "set /a").wrote("take", "set /a")
    finding = found(READ, ask, take, seen=seen)[Rule.TWO_WRITERS, ("read", "take")]
    assert finding.severity is Severity.INFO
    assert "one follows from the other" in finding.message


def test_declared_writes_count_where_nothing_was_seen() -> None:
    one = spec("one", "claim.read", emits="workflow.completed", writes=("/a",))
    two = spec("two", "claim.read", emits="workflow.completed", writes=("/a/b", "/c"))
    finding = found(READ, one, two)[Rule.TWO_WRITERS, ("one", "two")]
    assert finding.paths == ("/a", "/a/b")


def test_branches_that_share_no_event_may_meet_too() -> None:
    split = spec("read", "workflow.started", emits="left right")
    left, right = (spec(name, name, emits="workflow.completed") for name in ("left", "right"))
    seen = Seen().wrote("left", "set /a").wrote("right", "set /a")
    finding = found(split, left, right, seen=seen)[Rule.TWO_WRITERS, ("left", "right")]
    assert finding.severity is Severity.WARNING


def test_a_task_without_an_endpoint_is_reported_once() -> None:
    everywhere = spec("audit", "#", types="*")
    findings = found(READ, SCORE, everywhere, live={"read", "score"})
    assert list(findings) == [(Rule.NO_ENDPOINT, ("audit",))]


def test_a_type_that_nobody_starts_on_is_reported() -> None:
    finding = found(READ, SCORE, seen=Seen(4, "clame"))[Rule.START_UNHANDLED, ("clame",)]
    assert (finding.severity, finding.suggestion) == (Severity.ERROR, "")
    finding = found(READ, SCORE, seen=Seen(4, "claims"))[Rule.START_UNHANDLED, ("claims",)]
    assert (finding.severity, finding.suggestion) == (Severity.ERROR, "claim")
    finding = found(SCORE)[Rule.START_UNHANDLED, (TYPE,)]
    assert finding.severity is Severity.INFO
    published = Seen(4).raised(CLIENT, "claim.read", 4)
    finding = found(SCORE, seen=published)[Rule.START_UNHANDLED, (TYPE,)]
    assert finding.severity is Severity.WARNING


def test_tasks_out_of_reach_are_reported_unless_something_is_not_known() -> None:
    island = [
        spec("ping", "pong.done", emits="ping.done"),
        spec("pong", "ping.done", emits="pong.done workflow.completed"),
    ]
    findings = found(READ, SCORE, *island)
    assert {subjects for rule, subjects in findings if rule is Rule.NEVER_REACHED} == {
        ("ping",),
        ("pong",),
    }
    silent = spec("silent", "claim.read")
    assert not [r for r, _ in found(READ, SCORE, silent, *island) if r is Rule.NEVER_REACHED]
    published = Seen(1).raised(CLIENT, "ping.done")
    assert not [
        r for r, _ in found(READ, SCORE, *island, seen=published) if r is Rule.NEVER_REACHED
    ]


def test_a_task_that_was_never_called_is_reported_after_enough_instances() -> None:
    for instances, told in ((ENOUGH, True), (ENOUGH - 1, False)):
        seen = Seen(instances).handled("workflow.started", "read")
        assert ((Rule.NEVER_REACHED, ("score",)) in found(READ, SCORE, seen=seen)) is told


def test_behaviour_beyond_the_declarations_is_reported() -> None:
    declared = spec("read", "workflow.started", emits="claim.read", writes=("/claim",))
    seen = Seen(1).raised("read", "score").wrote("read", "set /claim/text", "set /clam")
    findings = found(declared, SCORE, spec("late", "score", emits="workflow.completed"), seen=seen)
    assert (Rule.UNDECLARED, ("read", "score")) in findings
    assert findings[Rule.UNDECLARED, ("read",)].paths == ("/clam",)


def test_a_circle_without_a_way_out_is_reported() -> None:
    again = spec("again", "claim.read", emits="claim.reread")
    back = spec("back", "claim.reread", emits="claim.read")
    assert (Rule.CYCLE, ("again", "back")) in found(READ, again, back)
    out = spec("back", "claim.reread", emits="claim.read workflow.failed")
    assert not [rule for rule, _ in found(READ, again, out) if rule is Rule.CYCLE]
    alone = spec("again", "claim.*", emits="claim.read")
    assert (Rule.CYCLE, ("again",)) in found(READ, alone)
