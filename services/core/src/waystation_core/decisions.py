"""Decisions about instances: made by the domain from what the store has, written, and announced. Every change
of an instance, in the API or in a router, goes through this module.

There are two ways. *Under its lock* one instance is read, decided and written in one transaction, and nothing
can come between. *Where unmoved*, several instances that were read without locks are decided, and written by
one transaction that leaves out every instance that has changed since. (Routers write results in the second
way by batches of their own, in the committer, which knows what it wrote last and need not read.)

This module handles everything that may come between:

- The registry changed. Tasks are resolved here only while the copy has the generation that the lock shows;
otherwise raised events are announced, and a router resolves them. The store refuses a commit that depends on
the registered tasks; then the copy is read again, without the lock, and everything is decided again.

- An equal request was committed first. It is decided again, and gets the first one's answer.

- The answer of the database was lost. Perhaps everything was written, so the raised events are made due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar, cast

from waystation_core.ports.store import (
    AuditedCall,
    EngineStore,
    Locked,
    RegistryMoved,
    Tally,
    WriteRefused,
)
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import DEFAULT_NAMESPACE, Instance, JsonObject
from waystation_domain.providers import Providers
from waystation_domain.task_spec import TaskSpec

TRIES = 5
"""Tries of one decision, if the registry changes or an equal request comes first."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """Identifies a repeated request: it has one effect and one answer."""

    rpc: str
    request_id: str
    digest: bytes
    """Digest of the whole request."""


class Decision:
    """One locked instance, and the draft of its changes."""

    __slots__ = ("_principal", "_rules", "locked", "made")

    def __init__(self, locked: Locked, rules: Rules, principal: str | None = None) -> None:
        self.locked = locked
        self._rules = rules
        self._principal = principal
        self.made: Draft | None = None

    def draft(self, facts: Mapping[str, EventFacts] | None = None) -> Draft:
        """The draft to change, once everything that it needs is read. `facts`: instead of those requested
        with the lock."""
        locked = self.locked
        self.made = Draft(
            locked.instance,
            facts=locked.facts if facts is None else facts,
            rules=self._rules,
            now=locked.now,
            log=locked.log,
            principal=self._principal,
        )
        return self.made


@dataclass(frozen=True, slots=True)
class Decided(Generic[T]):
    """The outcome of a decision under a lock."""

    answer: T
    instance: Instance
    """The instance now."""
    commit: InstanceCommit | None
    """None: no draft was made; the instance was only read, or the request was carried out before."""


class Read(Protocol):
    """The least that must be read of an instance without a lock."""

    @property
    def instance(self) -> Instance: ...
    @property
    def facts(self) -> Mapping[str, EventFacts]: ...
    @property
    def now(self) -> datetime: ...


R = TypeVar("R", bound=Read)


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The outcome of several decisions without locks."""

    written: Sequence[InstanceCommit]
    """The commits that were written."""
    remaining: Sequence[int]
    """Keys of instances that changed meanwhile or are locked, or for which nothing could be decided."""


class Decisions:
    """The decisions of one process."""

    def __init__(
        self,
        store: EngineStore,
        relay: Relay,
        registries: Registries,
        providers: Providers,
        *,
        max_events: int,
    ) -> None:
        self._store = store
        self._relay = relay
        self._registries = registries
        self._unresolved = Rules(providers, max_events=max_events)
        self._rules: dict[str, Rules] = {}

    def rules(self, namespace: str) -> Rules:
        """The rules for instances of a namespace, while the copy of its registry is current."""
        found = self._rules.get(namespace)
        if found is None:

            def resolve(event_type: str, workflow_type: str) -> tuple[TaskSpec, ...]:
                return self._registries.of(namespace).resolve(event_type, workflow_type)

            found = self._rules[namespace] = replace(self._unresolved, resolve=resolve)
        return found

    async def under_lock(
        self,
        decide: Callable[[Decision], Awaitable[T]],
        *,
        key: int | None = None,
        workflow_instance_id: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        event_ids: Sequence[str] = (),
        since: int | None = None,
        request: Request | None = None,
        by: AuditedCall | None = None,
        announces: bool = True,
    ) -> Decided[T]:
        """Locks one instance (like `EngineStore.locked`), calls `decide`, and writes its draft. `decide` may
        be called several times. The answer to a `request` must be JSON; it is stored with the changes. So is the
        entry of the audited call `by`, unless nothing changes; history names its principal.
        Without `announces` the caller passes the commit to the relay. Raises what `decide` raises, and then
        nothing was written; WorkflowNotFound; RequestIdReused; StoreUnavailable; WriteRefused;
        RegistryMoved if that kept happening."""
        for remaining in reversed(range(TRIES)):
            try:
                return await self._once(
                    decide,
                    self._store.locked(
                        key=key,
                        workflow_instance_id=workflow_instance_id,
                        namespace=namespace,
                        event_ids=event_ids,
                        since=since,
                    ),
                    request,
                    by,
                    announces=announces,
                )
            except RegistryMoved as moved:
                if not remaining:
                    raise
                await self._registries.refresh_one(moved.namespace)
            except WriteRefused:
                # Only a request that is stored can meet an equal one.
                if not remaining or request is None:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _once(
        self,
        decide: Callable[[Decision], Awaitable[T]],
        block: AbstractAsyncContextManager[Locked],
        request: Request | None,
        by: AuditedCall | None,
        *,
        announces: bool,
    ) -> Decided[T]:
        in_doubt: list[InstanceCommit] = []
        try:
            async with block as locked:
                if request is not None:
                    before = await locked.repeated(request.rpc, request.request_id, request.digest)
                    if before is not None:
                        # It is what `decide` returned then.
                        return Decided(cast(T, before), locked.instance, None)
                namespace = locked.instance.namespace
                is_current = locked.generation == self._registries.of(namespace).generation
                rules = self.rules(namespace) if is_current else self._unresolved
                decision = Decision(locked, rules, _principal_of(by))
                answer = await decide(decision)
                if decision.made is None:
                    return Decided(answer, locked.instance, None)
                commit = decision.made.commit()
                await locked.write(commit)
                if by is not None and by.due is not None and not commit.is_empty:
                    await locked.record(by.due)
                if request is not None:
                    await locked.remember(
                        request.rpc, request.request_id, request.digest, cast(JsonObject, answer)
                    )
                in_doubt.append(commit)
        except Exception:
            self._relay.perhaps_committed(in_doubt)
            raise
        if by is not None and not commit.is_empty:
            by.stored = True
        if announces:
            self._relay.committed([commit])
        return Decided(answer, commit.after, commit)

    async def where_unmoved(
        self,
        found: Sequence[R],
        decide: Callable[[R, Draft], int],
        *,
        tally: Tally | None = None,
        by: AuditedCall | None = None,
    ) -> Unmoved:
        """Calls `decide` for each of these instances, and writes those that have not changed since they were
        read. `decide` returns its count, which is added to `tally`. An instance for which it raises is left
        out. History names the principal of `by`, whose entry must be stored already. Raises StoreUnavailable and WriteRefused: none of them is known to be written."""
        # Taken before anything is decided: with a newer copy the commit is refused.
        generations = {
            one.instance.namespace: self._registries.of(one.instance.namespace).generation
            for one in found
        }
        counts: dict[int, int] = {}
        commits: list[InstanceCommit] = []
        remaining: list[int] = []
        for one in found:
            key = one.instance.key
            draft = Draft(
                one.instance,
                facts=one.facts,
                rules=self.rules(one.instance.namespace),
                now=one.now,
                principal=_principal_of(by),
            )
            try:
                counts[key] = decide(one, draft)
                commit = draft.commit()
            except Exception:
                # Reported when it is decided under its lock; the others continue.
                remaining.append(key)
                continue
            if not commit.is_empty:
                commits.append(commit)
            # Very many of them must not block the loop.
            await asyncio.sleep(0)
        if not commits:
            return Unmoved((), remaining)
        if tally is not None:
            tally = replace(tally, of=counts)
        try:
            written = await self._store.commit(commits, generations=generations, tally=tally)
        except Exception:
            self._relay.perhaps_committed(commits)
            raise
        done = [commit for commit in commits if commit.before.key in written.keys]
        remaining += [
            commit.before.key for commit in commits if commit.before.key not in written.keys
        ]
        self._relay.committed(done)
        return Unmoved(done, remaining)


def _principal_of(by: AuditedCall | None) -> str | None:
    return by.entry.principal if by is not None else None
