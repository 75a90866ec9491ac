"""Wrappers around the ports of a server: each call passes the port's failpoints."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import grpc
import structlog

from waystation_core.failpoints.plan import Plan, plan_of
from waystation_core.failpoints.table import ENGINE_STORE, REGISTRY_STORE
from waystation_core.ports.broker import (
    Announcement,
    AnnounceOutcome,
    Broker,
    Received,
    Subscription,
    Token,
)
from waystation_core.ports.store import (
    BrokenLeases,
    EngineStore,
    Locked,
    MadeDue,
    RegistryStore,
)
from waystation_domain.errors import StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

_CLAIMS = ("claim_", "wake_", "end_lapsed", "make_lost", "break_", "instances_to_", "catch_ups")


class Failpoints:
    """Wraps the parts of a server, or, without a plan, nothing."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Failpoints:
        """From the environment. Raises BadFailpoints."""
        plan = plan_of(environment)
        if plan is not None:
            log.warning("failpoints_set", rules=plan.text)
        return cls(plan)

    def engine_store(self, store: EngineStore) -> EngineStore:
        """The store with failpoints around its methods and under its locks."""
        if self.plan is None:
            return store
        return cast(EngineStore, _EngineStore(store, self.plan))

    def registry_store(self, store: RegistryStore) -> RegistryStore:
        """The store with failpoints around its methods."""
        if self.plan is None:
            return store
        return cast(RegistryStore, _Store(store, self.plan, REGISTRY_STORE))

    def broker(self, broker: Broker) -> Broker:
        """The broker with failpoints around announcing, taking and acknowledging."""
        return broker if self.plan is None else cast(Broker, _Broker(broker, self.plan))

    def interceptors(self) -> Sequence[grpc.aio.ServerInterceptor]:
        """For a server, so that its replies have failpoints."""
        return () if self.plan is None else (_Replies(self.plan),)


class _Wrapper:
    """Everything that is not wrapped is passed on."""

    def __init__(self, inner: Any, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Store(_Wrapper):
    """Failpoints around each method of a table."""

    def __init__(self, inner: Any, plan: Plan, methods: Mapping[str, str]) -> None:
        super().__init__(inner, plan)
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return functools.partial(self._passing, name, method) if name in self._methods else method

    async def _passing(
        self, name: str, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        await self._plan.at(f"{name}.before")
        answer = await method(*args, **kwargs)
        if not name.startswith(_CLAIMS) or _is_something(answer):
            await self._plan.at(f"{name}.after")
        return answer


def _is_something(answer: object) -> bool:
    if isinstance(answer, BrokenLeases):
        return bool(answer.deliveries or answer.events)
    if isinstance(answer, MadeDue):
        return bool(answer.events)
    return bool(answer)


class _EngineStore(_Store):
    def __init__(self, inner: EngineStore, plan: Plan) -> None:
        super().__init__(inner, plan, ENGINE_STORE)

    @asynccontextmanager
    async def locked(self, **how: Any) -> AsyncIterator[Locked]:
        await self._plan.at("locked.before")
        async with self._inner.locked(**how) as locked:
            await self._plan.at("locked.after")
            yield cast(Locked, _Locked(locked, self._plan))
            await self._plan.at("locked.exit.before")
        await self._plan.at("locked.exit.after")


class _Locked(_Wrapper):
    async def write(self, commit: Any) -> None:
        await self._plan.at("locked.write.before")
        await self._inner.write(commit)
        await self._plan.at("locked.write.after")


class _Broker(_Wrapper):
    async def announce(self, batch: Sequence[Announcement]) -> list[AnnounceOutcome]:
        """Without a confirm if an error is requested; the port raises none."""
        try:
            await self._plan.at("announce.before")
            outcomes = cast("list[AnnounceOutcome]", await self._inner.announce(batch))
            await self._plan.at("announce.after")
        except StoreUnavailable:
            return [AnnounceOutcome.UNCONFIRMED] * len(batch)
        return outcomes

    async def consume(self, **how: Any) -> Subscription:
        return cast(Subscription, _Subscription(await self._inner.consume(**how), self._plan))


class _Subscription(_Wrapper):
    async def take(self, limit: int) -> list[Received]:
        """If an error is requested, what it took stays unacknowledged."""
        while True:
            try:
                await self._plan.at("take.before")
                received = cast("list[Received]", await self._inner.take(limit))
                if received:
                    await self._plan.at("take.after")
            except StoreUnavailable:
                continue
            return received

    def ack(self, tokens: Sequence[Token]) -> None:
        """Lost if an error is requested."""
        try:
            self._plan.at_once("ack.before")
            self._inner.ack(tokens)
            self._plan.at_once("ack.after")
        except StoreUnavailable:
            return


class _Replies(grpc.aio.ServerInterceptor):
    """Failpoints before an answer is sent, and afterwards."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if (
            handler is None
            or handler.unary_unary is None
            or not handler_call_details.method.startswith("/waystation.")
        ):
            return handler

        async def answer(request: Any, context: Any) -> Any:
            response = await handler.unary_unary(request, context)
            await self._plan.at("reply.before")
            self._plan.soon("reply.after")
            return response

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
