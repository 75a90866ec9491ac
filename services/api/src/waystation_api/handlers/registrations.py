"""Registering endpoints: which addresses are admitted, who owns a task, and catch-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from waystation.v1 import handler_pb2, handler_registry_service_pb2
from waystation_api.audit.audited_call import audited_call
from waystation_api.handlers.catch_ups import catch_up
from waystation_api.requests import check_namespace, check_request_id, digest_of
from waystation_conversion import (
    refuses_unexpected,
    seconds_from_proto,
    task_spec_from_proto,
    timestamp_from_proto,
)
from waystation_core.decisions import Decisions
from waystation_core.identity.principal import caller
from waystation_core.ports.store import Registration, RegistryStore
from waystation_core.registries import Registries
from waystation_core.rpc.addresses import admitted_addresses
from waystation_domain import limits, reserved, units
from waystation_domain.endpoints import Allowlist
from waystation_domain.errors import (
    InvalidField,
    PayloadTooLarge,
    StoreUnavailable,
    WaystationError,
)
from waystation_domain.task_spec import TaskKey, TaskSpec

_pb = handler_registry_service_pb2
log = structlog.get_logger(__name__)

DEFAULT_LEASE_SECONDS = 30.0


def _check_size(tasks: Sequence[handler_pb2.TaskSpec]) -> None:
    """All of them are shown in one message; each name is compared with all others."""
    size = sum(task.ByteSize() for task in tasks)
    if size > limits.MAX_BYTES_OF_REGISTRATION:
        raise PayloadTooLarge(
            f"tasks takes {units.size(size)}; the limit is {units.size(limits.MAX_BYTES_OF_REGISTRATION)}. Use patterns, "
            "or several services.",
            field="tasks",
            limit_bytes=str(limits.MAX_BYTES_OF_REGISTRATION),
            bytes=str(size),
        )
    names = sum(
        len(task.event_types)
        + len(task.workflow_types)
        + len(task.may_emit)
        + len(task.reads.paths)
        + len(task.writes.paths)
        for task in tasks
    )
    if names > limits.MAX_NAMES_OF_REGISTRATION:
        raise InvalidField(
            f"tasks have {names} event types, workflow types and paths in total; the limit is "
            f"{limits.MAX_NAMES_OF_REGISTRATION}. Use patterns, or several services.",
            field="tasks",
            limit=str(limits.MAX_NAMES_OF_REGISTRATION),
        )


@refuses_unexpected("request")
def registration_from_proto(request: _pb.RegisterHandlerRequest, namespace: str) -> Registration:
    """The registration of a request, within the limits; whether its address is admitted is checked elsewhere."""
    service_name = reserved.check_name(request.service_name, "service_name")
    limits.check_short_text(request.service_version, "service_version")
    kind = request.kind or handler_pb2.REGISTRATION_KIND_LEASED
    if kind not in (handler_pb2.REGISTRATION_KIND_LEASED, handler_pb2.REGISTRATION_KIND_STATIC):
        raise InvalidField(
            f"kind {kind} is not known to this release. Use LEASED or STATIC.", field="kind"
        )
    static = kind == handler_pb2.REGISTRATION_KIND_STATIC
    lease = DEFAULT_LEASE_SECONDS
    if request.HasField("lease"):
        if static:
            raise InvalidField("lease is only for LEASED registrations; omit it.", field="lease")
        lease = seconds_from_proto(request.lease, "lease", least=1.0, most=limits.MAX_LEASE_SECONDS)
    if not 1 <= len(request.tasks) <= limits.MAX_TASKS:
        raise InvalidField(
            f"tasks must contain 1-{limits.MAX_TASKS} tasks, not {len(request.tasks)}.",
            field="tasks",
        )
    _check_size(request.tasks)
    tasks = tuple(
        replace(task_spec_from_proto(task, service_name, f"tasks[{at}]"), namespace=namespace)
        for at, task in enumerate(request.tasks)
    )
    began_at = None
    if request.HasField("began_at"):
        began_at = timestamp_from_proto(request.began_at, "began_at")
    names = [task.task_id for task in tasks]
    if len(set(names)) < len(names):
        raise InvalidField(
            "tasks has the same task_id twice; give each task a unique task_id.",
            field="tasks.task_id",
        )
    return Registration(
        handler_id="",
        service_name=service_name,
        service_version=request.service_version,
        host=request.host,
        port=request.port,
        static=static,
        tasks=tasks,
        lease_seconds=None if static else round(lease),
        began_at=began_at,
        namespace=namespace,
    )


class Registrations:
    """Stores registrations and lets new tasks catch up."""

    def __init__(
        self,
        registry: RegistryStore,
        registries: Registries,
        decisions: Decisions,
        allowlist: Allowlist,
        *,
        at_most: int,
    ) -> None:
        self._registry = registry
        self._registries = registries
        self._decisions = decisions
        self._allowlist = allowlist
        self._at_most = at_most
        self._to_look_at: dict[TaskKey, TaskSpec] = {}
        """Tasks whose second look this server has claimed and not finished."""

    async def register(self, request: _pb.RegisterHandlerRequest) -> tuple[Registration, int]:
        """The registration, and how many deliveries its new tasks caught up with. Raises PermissionDenied,
        EndpointNotAllowed, TaskOwnedByOtherService, RequestIdReused, TooManyHandlers."""
        namespace = check_namespace(request.namespace)
        request_id = check_request_id(request.request_id)
        wanted = registration_from_proto(request, namespace)
        caller().require_service("RegisterHandler", wanted.service_name, namespace)
        await self._check_endpoint(wanted.host, wanted.port)
        digest = digest_of(request)
        stored, new_tasks = await self._registry.register(
            wanted,
            namespace=namespace,
            request=(request_id, digest) if request_id is not None else None,
            at_most=self._at_most,
            by=audited_call(),
        )
        log.info(
            "handler_registered",
            handler_id=stored.handler_id,
            service=stored.service_name,
            endpoint=f"{stored.host}:{stored.port}",
            tasks=len(stored.tasks),
        )
        await self._registries.of(namespace).refresh()
        caught_up = 0
        for task in stored.tasks:
            if task.catch_up and task.task_id in new_tasks:
                caught_up += await catch_up(task, self._registry, self._decisions)
        return stored, caught_up

    async def register_static(self, requests: Sequence[_pb.RegisterHandlerRequest]) -> None:
        """Registers what the settings name. One that is refused is logged; an outage is raised as
        StoreUnavailable, and then all of them may be registered again."""
        for request in requests:
            again = _pb.RegisterHandlerRequest()
            again.CopyFrom(request)
            try:
                await self.register(again)
            except StoreUnavailable:
                raise
            except WaystationError as error:
                log.error(
                    "handler_not_registered",
                    service=request.service_name,
                    reason=error.reason,
                    message=error.message,
                )

    async def unregister(self, namespace: str, handler_id: str) -> None:
        """Removes an endpoint, if it exists and is of a service that the caller may act for."""
        await self._registry.unregister(
            handler_id,
            namespace=namespace,
            services=caller().services_in(namespace),
            by=audited_call(),
        )
        log.info("handler_unregistered", handler_id=handler_id)
        await self._registries.of(namespace).refresh()

    async def look_again(self) -> None:
        """The second look of catch-up, if it is due: by now every commit under way knows the task."""
        for task in await self._registry.catch_ups_due():
            self._to_look_at[task.key] = task
        # A look that an outage interrupts stays this server's: nobody else claims it for a while.
        for task in list(self._to_look_at.values()):
            await catch_up(task, self._registry, self._decisions)
            await self._registry.caught_up(task.task_id, namespace=task.namespace)
            del self._to_look_at[task.key]

    async def _check_endpoint(self, host: str, port: int) -> None:
        try:
            await admitted_addresses(host, port, self._allowlist)
        except OSError:
            # The same message as for other addresses that are not admitted: it reveals nothing of the network
            # behind this server.
            self._allowlist.check(host, port, ())
