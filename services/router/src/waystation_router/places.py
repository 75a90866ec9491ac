"""Places for calls: how many calls of each task and each namespace this router has in flight, and which
deliveries wait until there may be one more."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from waystation_core.fair_queue import FairQueue
from waystation_core.registries import Registries
from waystation_domain.task_spec import TaskKey, TaskSpec
from waystation_router.ledger import DeliveryCall, Handling
from waystation_router.pools import PoolsSeen

KEPT_FREE = 8
"""Of so many places of a task, a type that floods leaves one to the others."""


class _OfNamespace:
    """This router's calls of one namespace, and the tasks that wait because it may have no more."""

    __slots__ = ("being_filled", "line", "name", "taken")

    def __init__(self, name: str) -> None:
        self.name = name
        self.taken = 0
        self.being_filled = False
        self.line: OrderedDict[TaskKey, PlacesOfTask] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(places.waiting) for places in self.line.values())


class PlacesOfTask:
    """This router's share of one task's max_in_flight, and the deliveries that wait for a place."""

    __slots__ = ("key", "namespace", "taken", "waiting")

    def __init__(self, key: TaskKey, namespace: _OfNamespace) -> None:
        self.key = key
        self.namespace = namespace
        self.taken = 0
        # By workflow type: a type that floods does not delay other types' deliveries of the same task.
        self.waiting: FairQueue[tuple[Handling, DeliveryCall]] = FairQueue()


class Places:
    """The places of all tasks."""

    def __init__(
        self,
        pools: PoolsSeen,
        registries: Registries,
        floods: Callable[[str, str], bool],
        begin: Callable[[Handling, DeliveryCall, PlacesOfTask], None],
    ) -> None:
        """`floods`: whether a workflow type of a namespace floods while others have events too. `begin` gets each
        delivery that has its place now, which `give_back` ends."""
        self._pools = pools
        self._registries = registries
        self._floods = floods
        self._begin = begin
        self._tasks: dict[TaskKey, PlacesOfTask] = {}
        self._namespaces: dict[str, _OfNamespace] = {}
        self.taken = 0
        """Of all tasks: the calls in flight."""
        self.freed = asyncio.Event()
        """Set when a place becomes free; the waiting loop clears it first."""
        self.all_free = asyncio.Event()
        self.all_free.set()

    def ask(self, handling: Handling, call: DeliveryCall) -> None:
        """Begins the delivery as soon as there is a place."""
        places = self._of(call.task)
        namespace = places.namespace
        workflow_type = _type_of(handling)
        may_start = places.taken < self._places_for(call.task, workflow_type)
        if not may_start or namespace.taken >= self._most_of(namespace.name):
            places.waiting.append(workflow_type, (handling, call))
            if may_start:
                namespace.line.setdefault(places.key, places)
            return
        self._take(handling, call, places)

    def give_back(self, places: PlacesOfTask) -> None:
        """One place of this task is free again."""
        places.taken -= 1
        places.namespace.taken -= 1
        self.taken -= 1
        if places.waiting:
            places.namespace.line.setdefault(places.key, places)
        self._fill(places.namespace)
        self.freed.set()
        if not self.taken:
            self.all_free.set()

    def waiting(self) -> list[tuple[Handling, DeliveryCall]]:
        """Deliveries that wait for a place, longest first within a task and a workflow type."""
        return [item for places in self._tasks.values() for item in places.waiting]

    def leave(self, handling: Handling, call: DeliveryCall) -> bool:
        """Waits no longer for a place; False if it did not wait for one."""
        places = self._tasks.get(call.task.key)
        if places is None or (handling, call) not in places.waiting:
            return False
        places.waiting.remove(_type_of(handling), (handling, call))
        return True

    def of_tasks(self) -> list[tuple[TaskKey, int, int]]:
        """The calls in flight of each task, and the deliveries that wait for a place; from any thread."""
        return [
            (key, places.taken, len(places.waiting)) for key, places in self._tasks.copy().items()
        ]

    def free(self, task: TaskSpec) -> int:
        """The number of free places of a task; none if its namespace has none."""
        places = self._tasks.get(task.key)
        free = self._share(task) - (places.taken + len(places.waiting) if places else 0)
        return int(min(free, self._free_of(task.namespace)))

    def room(self, tasks: Sequence[TaskSpec]) -> int:
        """How many deliveries of these tasks together have places."""
        free: dict[str, int] = {}
        for task in tasks:
            free[task.namespace] = free.get(task.namespace, 0) + self.free(task)
        return int(sum(min(number, self._free_of(name)) for name, number in free.items()))

    def _share(self, task: TaskSpec) -> int:
        return -(-task.max_in_flight // self._pools.now.sharing(task.event_types))

    def _of(self, task: TaskSpec) -> PlacesOfTask:
        places = self._tasks.get(task.key)
        if places is None:
            namespace = self._namespaces.get(task.namespace)
            if namespace is None:
                namespace = self._namespaces[task.namespace] = _OfNamespace(task.namespace)
            places = self._tasks[task.key] = PlacesOfTask(task.key, namespace)
        return places

    def _most_of(self, namespace: str) -> float:
        """This router's share of the calls that a namespace may have in flight."""
        most = self._registries.limits(namespace).max_in_flight
        return math.inf if most is None else -(-most // self._pools.now.routers)

    def _free_of(self, namespace: str) -> float:
        most = self._most_of(namespace)
        known = self._namespaces.get(namespace)
        return most if known is None or most == math.inf else most - known.taken - known.waiting

    def _places_for(self, task: TaskSpec, workflow_type: str) -> int:
        """How many places of a task deliveries of this workflow type may have taken."""
        share = self._share(task)
        if self._floods(workflow_type, task.namespace):
            return share - share // KEPT_FREE
        return share

    def _take(self, handling: Handling, call: DeliveryCall, places: PlacesOfTask) -> None:
        places.taken += 1
        places.namespace.taken += 1
        self.taken += 1
        self.all_free.clear()
        self._begin(handling, call, places)

    def _fill(self, namespace: _OfNamespace) -> None:
        """Begins those that wait, as far as there are places, one delivery of each task in turn. One that is
        not called after all gives its place back at once: the loop goes on with it, as of many in a row each
        would call the next one here."""
        if namespace.being_filled:
            return
        namespace.being_filled = True
        try:
            while namespace.line and namespace.taken < self._most_of(namespace.name):
                key, places = namespace.line.popitem(last=False)
                if waiting := self._next(places):
                    following = places.waiting.pop_of(waiting)
                    if places.waiting:
                        namespace.line[key] = places
                    self._take(*following, places)
        finally:
            namespace.being_filled = False

    def _next(self, places: PlacesOfTask) -> str:
        """The workflow type whose delivery has the next place; empty if none may have one."""
        for workflow_type, (_, call) in places.waiting.firsts():
            if places.taken < self._places_for(call.task, workflow_type):
                return workflow_type
        return ""


def _type_of(handling: Handling) -> str:
    return handling.state.instance.workflow_type
