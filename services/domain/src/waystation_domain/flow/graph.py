"""A flow as a graph: tasks, event types, and edges with what is known of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from waystation_domain import lifecycle, topics
from waystation_domain.conflicts import Write
from waystation_domain.model import CLIENT, SYSTEM, Result
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import TaskTable, serves

MAX_FLOWS = 100
MAX_STRAY_TYPES = 500
"""Event types of one flow that no task names: clients may publish any."""
MAX_WRITES = 100
"""Written places of one task: keys of data may be ids."""

RAISERS = {
    lifecycle.STARTED: CLIENT,
    lifecycle.INPUT_PROVIDED: CLIENT,
    lifecycle.CANCELLED: CLIENT,
    lifecycle.INPUT_TIMED_OUT: SYSTEM,
    lifecycle.FAILED: SYSTEM,
}
"""Raise events without being tasks, so without declarations."""


class Origin(IntEnum):
    """How an edge is known."""

    DECLARED = 1
    OBSERVED = 2
    BOTH = 3

    @property
    def declares(self) -> bool:
        return self is not Origin.OBSERVED

    @property
    def saw(self) -> bool:
        return self is not Origin.DECLARED


@dataclass(slots=True)
class Observations:
    """What the history of some instances shows, counted. Every key begins with a workflow type."""

    instances: Counter[str] = field(default_factory=Counter)
    raised: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(workflow type, raised by, event type): number of events."""
    handled: Counter[tuple[str, str, str, Result, bool]] = field(default_factory=Counter)
    """(workflow type, event type, processed by, result, whether another attempt followed): number of entries
    of tasks."""
    written: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """(workflow type, task, path, kind of operation): number of successful writes."""

    def add(self, more: Observations) -> None:
        """Adds the counts of other instances."""
        self.instances.update(more.instances)
        self.raised.update(more.raised)
        self.handled.update(more.handled)
        self.written.update(more.written)


@dataclass(frozen=True, slots=True)
class FlowTask:
    """A task of a flow. Without a spec it is known from history only."""

    task_id: str
    spec: TaskSpec | None
    live: bool
    succeeded: int
    writes: tuple[tuple[Write, int], ...]
    """The places where it was observed to write, and how often."""


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """An event type; or a pattern, if no exact type is known."""

    event_type: str
    raised: int
    unhandled: int
    skipped: int


@dataclass(frozen=True, slots=True)
class RaisedBy:
    """An edge from a task, `client` or `system` to an event type."""

    raised_by: str
    event_type: str
    origin: Origin
    count: int


@dataclass(frozen=True, slots=True)
class HandledBy:
    """An edge from an event type to a task."""

    event_type: str
    task_id: str
    origin: Origin
    succeeded: int = 0
    failed_attempts: int = 0
    dead_letters: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """The graph of one workflow type; everything ordered by name."""

    workflow_type: str
    instances: int
    tasks: tuple[FlowTask, ...]
    events: tuple[FlowEvent, ...]
    raises: tuple[RaisedBy, ...]
    handlings: tuple[HandledBy, ...]


def build(
    specs: Sequence[TaskSpec], live: Collection[str], seen: Observations, *, requested: str = ""
) -> tuple[list[Flow], int]:
    """One flow for each workflow type in specs or history, ordered by name, and how many workflow types,
    event types and places were left out. `live` has the ids of tasks with a live endpoint. The flow of the
    type `wanted` is included if any task serves it."""
    named = {name for spec in specs for name in spec.workflow_types if name != topics.ONE_WORD}
    if any(requested and serves(spec, requested) for spec in specs):
        named.add(requested)
    known = sorted(
        named | seen.instances.keys(),
        key=lambda name: (name != requested, name not in named, -seen.instances[name], name),
    )
    left_out = max(len(known) - MAX_FLOWS, 0)
    kept = sorted(known[:MAX_FLOWS]) or [topics.ONE_WORD] * bool(specs)
    table = TaskTable(specs)
    makers = {name: _Maker(name) for name in kept}
    for (of, raised_by, event_type), number in seen.raised.items():
        if of in makers:
            makers[of].raised[raised_by, event_type] += number
    for (of, event_type, by, result, again), number in seen.handled.items():
        if of in makers:
            makers[of].handled.setdefault((event_type, by), Counter())[result, again] += number
    for (of, task_id, path, kind), number in seen.written.items():
        if of in makers:
            makers[of].written.setdefault(task_id, Counter())[path, kind] += number
    flows = []
    for name, maker in makers.items():
        own = [spec for spec in specs if serves(spec, name)]
        flows.append(maker.make(own, table, live, seen.instances[name]))
        left_out += maker.left_out
    return flows, left_out


class _Maker:
    """Builds the flow of one workflow type from observations and specs."""

    def __init__(self, workflow_type: str) -> None:
        self._type = workflow_type
        self.raised: Counter[tuple[str, str]] = Counter()
        self.handled: dict[tuple[str, str], Counter[tuple[Result, bool]]] = {}
        self.written: dict[str, Counter[Write]] = {}
        self.left_out = 0

    def make(
        self,
        specs: Sequence[TaskSpec],
        table: TaskTable,
        live: Collection[str],
        instances: int,
    ) -> Flow:
        numbers = Counter[str]()
        for (_, event_type), number in self.raised.items():
            numbers[event_type] += number
        types = self._event_types(specs, numbers)
        declared = {
            (event_type, task_id)
            for event_type in types
            for task_id in self._handlers(event_type, specs, table)
        }
        raised = {
            (by, event_type): number
            for (by, event_type), number in self.raised.items()
            if event_type in types
        }
        may_raise = {(spec.task_id, name) for spec in specs for name in spec.may_emit}
        may_raise |= {
            (by, name)
            for name, by in RAISERS.items()
            if name == lifecycle.STARTED or any(name == awaited for awaited, _ in declared)
        }
        handled = {
            (event_type, by): results
            for (event_type, by), results in self.handled.items()
            if event_type in types and by != SYSTEM
        }
        of_spec = {spec.task_id: spec for spec in specs}
        # A task may be named like a client or the system: it is a task if it handled something.
        task_ids = {by for by, _ in raised} - {CLIENT, SYSTEM} | of_spec.keys()
        task_ids |= {by for _, by in handled}
        return Flow(
            workflow_type=self._type,
            instances=instances,
            tasks=tuple(
                self._task(task_id, of_spec.get(task_id), task_id in live, handled)
                for task_id in sorted(task_ids)
            ),
            events=tuple(self._event(event_type, numbers) for event_type in sorted(types)),
            raises=tuple(
                RaisedBy(
                    *edge,
                    _origin(edge in may_raise or self._covered(edge, of_spec), edge in raised),
                    raised.get(edge, 0),
                )
                for edge in sorted(may_raise | raised.keys())
            ),
            handlings=tuple(
                _handling(
                    edge, _origin(edge in declared, edge in handled), handled.get(edge, Counter())
                )
                for edge in sorted(declared | handled.keys())
            ),
        )

    def _event_types(self, specs: Sequence[TaskSpec], numbers: Counter[str]) -> set[str]:
        """Every type that is a node: named exactly, possibly raised, or observed."""
        types = {lifecycle.STARTED} | {name for spec in specs for name in spec.may_emit}
        patterns: set[str] = set()
        for spec in specs:
            for name in spec.event_types:
                (patterns if topics.is_pattern(name) else types).add(name)
        seen = numbers.keys() | {event_type for event_type, _ in self.handled}
        strays = sorted(seen - types, key=lambda name: (-numbers[name], name))
        self.left_out += max(len(strays) - MAX_STRAY_TYPES, 0)
        types.update(strays[:MAX_STRAY_TYPES])
        # A pattern that matches no known type is a node itself; otherwise its task would have no edge.
        return types | {
            pattern
            for pattern in patterns
            if not any(topics.overlaps(pattern, name) for name in types)
        }

    def _handlers(
        self, event_type: str, specs: Iterable[TaskSpec], table: TaskTable
    ) -> Iterable[str]:
        """The tasks that handle a type, or may handle a type that matches a pattern."""
        if not topics.is_pattern(event_type):
            return [spec.task_id for spec in table.resolve(event_type, self._type)]
        return [
            spec.task_id
            for spec in specs
            if any(topics.overlaps(event_type, name) for name in spec.event_types)
        ]

    @staticmethod
    def _covered(edge: tuple[str, str], specs: dict[str, TaskSpec]) -> bool:
        raised_by, event_type = edge
        spec = specs.get(raised_by)
        return spec is not None and may_emit(spec, event_type)

    def _task(
        self,
        task_id: str,
        spec: TaskSpec | None,
        live: bool,
        handled: dict[tuple[str, str], Counter[tuple[Result, bool]]],
    ) -> FlowTask:
        written = self.written.get(task_id, Counter())
        often = sorted(written.items(), key=lambda item: (-item[1], item[0]))
        self.left_out += max(len(often) - MAX_WRITES, 0)
        return FlowTask(
            task_id=task_id,
            spec=spec,
            live=live and spec is not None,
            succeeded=sum(
                results[Result.SUCCESS, False]
                for (_, by), results in handled.items()
                if by == task_id
            ),
            writes=tuple(sorted(often[:MAX_WRITES])),
        )

    def _event(self, event_type: str, numbers: Counter[str]) -> FlowEvent:
        by_system = self.handled.get((event_type, SYSTEM), Counter())
        return FlowEvent(
            event_type=event_type,
            raised=numbers[event_type],
            unhandled=by_system[Result.UNHANDLED, False],
            skipped=by_system[Result.SKIPPED, False],
        )


def may_emit(spec: TaskSpec, event_type: str) -> bool:
    """Whether the spec declares that the task may raise this type."""
    return any(topics.matches(pattern, event_type) for pattern in spec.may_emit)


def _origin(declared: bool, observed: bool) -> Origin:
    if declared:
        return Origin.BOTH if observed else Origin.DECLARED
    return Origin.OBSERVED


def _handling(
    edge: tuple[str, str], origin: Origin, results: Counter[tuple[Result, bool]]
) -> HandledBy:
    return HandledBy(
        *edge,
        origin,
        succeeded=results[Result.SUCCESS, False],
        failed_attempts=results[Result.FAILED, True] + results[Result.FAILED, False],
        dead_letters=results[Result.FAILED, False],
        skipped=results[Result.SKIPPED, False],
    )
