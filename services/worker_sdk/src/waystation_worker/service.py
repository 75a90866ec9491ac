"""The handler service: a name, and task functions with the events that they handle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from waystation.v1 import task_handler_service_pb2
from waystation_worker.arguments import text, whole
from waystation_worker.class_style import Task, declaration
from waystation_worker.errors import SettingsError, WaystationError
from waystation_worker.invocation import Invoker
from waystation_worker.plain_log import keep_plain
from waystation_worker.process import run_until_signal
from waystation_worker.server import Serving
from waystation_worker.servicer import BlockingTaskServicer
from waystation_worker.settings import read_settings
from waystation_worker.tasks import Backoff, HostedTask, check_name, make_task
from waystation_worker.times import DAY, HOUR, ZERO, Span, seconds_of

logger = logging.getLogger("waystation_worker")
keep_plain(logger)

Function = TypeVar("Function", bound=Callable[..., object])
TaskT = TypeVar("TaskT", bound=Task)

_BAD_SETTINGS = 78
MAX_THREADS = 10_000


class HandlerService:
    """A service that hosts tasks.

        service = HandlerService("claims", version="1.0.0")

        @service.task(events=["claim.processed"], workflow_types=["insurance_claim"])
        async def validate(ctx: TaskContext) -> None:
            ctx.data["valid"] = True
            ctx.emit("validation.completed")

        service.run()

    `name` and `version` appear in history; all replicas of a service have the same name. `threads`
    is how many plain functions run at once. A call that gets no thread within 10 s, or half of its
    timeout if that is less, is not started: it does not count as an attempt, and routers call again
    later.
    """

    def __init__(self, name: str, *, version: str = "", threads: int = 64) -> None:
        check_name(name, "service name")
        text(version, "version", 200)
        whole(threads, "threads", 1, MAX_THREADS)
        self.name = name
        self.version = version
        self._threads = threads
        self._tasks: dict[str, HostedTask] = {}

    @property
    def tasks(self) -> Mapping[str, HostedTask]:
        """The tasks by task_id."""
        return MappingProxyType(self._tasks)

    def task(
        self,
        task_id: str | None = None,
        *,
        events: Iterable[str],
        workflow_types: Iterable[str],
        timeout: Span = 30.0,
        max_attempts: int = 5,
        backoff: Backoff | None = None,
        max_in_flight: int = 100,
        on_failure: Literal["fail_workflow", "continue"] = "fail_workflow",
        catch_up: bool = True,
        history_entries: int = 0,
        replayable: bool = False,
        may_emit: Iterable[str] = (),
        reads: Iterable[str] | None = None,
        writes: Iterable[str] | None = None,
    ) -> Callable[[Function], Function]:
        """Registers a function as a task; returns the function unchanged.

        - `task_id`: default the function's name; it belongs to one service name.
        - `events`: event types, or patterns such as `claim.*`; `workflow_types`: the workflow types
          whose events it receives, `["*"]` for all.
        - `timeout`: of one call, in seconds or as timedelta; `max_attempts` and `backoff`: retries; `on_failure`: what
          happens to the workflow when all attempts have failed.
        - `max_in_flight`: concurrent calls, over all replicas.
        - `catch_up`: whether the first registration delivers earlier events that no task handled.
        - `history_entries`: how many of the newest history entries `ctx.history` has, at most 1,000
          and 1 MiB; `replayable`: whether it may be called again with `ctx.dry_run`.
        - `may_emit`, `reads`, `writes`: event types and JSON Pointers, for checks and graphs.

        Raises ValueError or TypeError, naming task and option, for an invalid declaration.
        """

        def declare(function: Function) -> Function:
            name = task_id if task_id is not None else getattr(function, "__name__", "")
            self._host(
                function,
                name,
                events=events,
                workflow_types=workflow_types,
                timeout=timeout,
                max_attempts=max_attempts,
                backoff=backoff,
                max_in_flight=max_in_flight,
                on_failure=on_failure,
                catch_up=catch_up,
                history_entries=history_entries,
                replayable=replayable,
                may_emit=may_emit,
                reads=reads,
                writes=writes,
            )
            return function

        return declare

    def add(self, task: TaskT) -> TaskT:
        """Registers a task that is written as a class; returns the task.

        Raises ValueError or TypeError, naming task and option, for an invalid declaration.
        """
        declared = declaration(task)
        self._host(task.handle_event, **declared)
        return task

    def _host(
        self,
        function: Callable[..., object],
        task_id: str,
        *,
        backoff: Backoff | None,
        **options: Any,
    ) -> None:
        if task_id in self._tasks:
            raise ValueError(
                f"task {task_id!r} is declared twice in service {self.name}; give one of them another task_id"
            )
        self._tasks[task_id] = make_task(function, task_id, backoff=backoff, **options)

    def run(
        self,
        *,
        address: str | None = None,
        token: str | None = None,
        namespace: str | None = None,
        host: str | None = None,
        port: int | None = None,
        advertise_host: str | None = None,
        identity_keys: Sequence[str] | None = None,
        lease: Span = 30.0,
        grace: Span = 30.0,
        register: bool = True,
    ) -> None:
        """Serves until SIGTERM or SIGINT: then unregisters, finishes the calls in flight (for at
        most `grace` seconds) and returns. A call that hangs longer does not keep the process alive:
        a plain function is left behind in its thread, and if anything else hangs, the process ends
        a few seconds after the grace period. A second signal ends the process immediately.

        `address` is the address of Waystation (WAYSTATION_ADDRESS, 127.0.0.1:7400), `token` says who
        registers (WAYSTATION_TOKEN, or the file WAYSTATION_TOKEN_FILE), `namespace` is where (WAYSTATION_NAMESPACE,
        the token's only one, `default`). `host` and
        `port` are the listening address (WAYSTATION_HANDLER_HOST, 127.0.0.1;
        WAYSTATION_HANDLER_PORT, 7500 or a free port; 0 means a free port). Routers connect to
        `advertise_host` (WAYSTATION_ADVERTISE_HOST). With `identity_keys`, public keys of routers
        (WAYSTATION_IDENTITY_KEYS, or the file WAYSTATION_IDENTITY_KEYS_FILE), only calls that are
        signed with one of them are admitted. `lease` is how long a registration is valid
        without renewal; it and `grace` are in seconds or timedeltas. With `register=False` the
        service only serves.

        Exits with code 78 for invalid settings and with 1 if Waystation refuses the registration.
        """
        if not logging.getLogger().handlers:
            logging.basicConfig(
                level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
            )
        try:
            run_until_signal(
                partial(
                    self.serve,
                    address=address,
                    token=token,
                    namespace=namespace,
                    host=host,
                    port=port,
                    advertise_host=advertise_host,
                    identity_keys=identity_keys,
                    lease=lease,
                    grace=grace,
                    register=register,
                ),
                _grace(grace),
            )
        except SettingsError as error:
            logger.error("invalid settings: %s", error)
            raise SystemExit(_BAD_SETTINGS) from None
        except WaystationError:
            # The registration has logged it.
            raise SystemExit(1) from None

    async def serve(
        self,
        *,
        address: str | None = None,
        token: str | None = None,
        namespace: str | None = None,
        host: str | None = None,
        port: int | None = None,
        advertise_host: str | None = None,
        identity_keys: Sequence[str] | None = None,
        lease: Span = 30.0,
        grace: Span = 30.0,
        register: bool = True,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Like `run`, but on the running event loop and without signals: serves until `stop` is set
        or the call is cancelled.

        Raises SettingsError for invalid settings, WaystationError if Waystation refuses the
        registration.
        """
        async with self.serving(
            address=address,
            token=token,
            namespace=namespace,
            host=host,
            port=port,
            advertise_host=advertise_host,
            identity_keys=identity_keys,
            lease=lease,
            grace=grace,
            register=register,
        ) as running:
            stopped = asyncio.create_task((stop or asyncio.Event()).wait())
            refused = asyncio.create_task(running.wait_refused())
            try:
                await asyncio.wait({stopped, refused}, return_when=asyncio.FIRST_COMPLETED)
                if refused.done():
                    raise refused.result()
            finally:
                stopped.cancel()
                refused.cancel()

    @contextlib.asynccontextmanager
    async def serving(
        self,
        *,
        address: str | None = None,
        token: str | None = None,
        namespace: str | None = None,
        host: str | None = None,
        port: int | None = None,
        advertise_host: str | None = None,
        identity_keys: Sequence[str] | None = None,
        lease: Span = 30.0,
        grace: Span = 30.0,
        register: bool = True,
    ) -> AsyncIterator[Serving]:
        """Serves while the block runs; yields the running service, which has its `port`.

        Raises SettingsError for invalid settings.
        """
        if not self._tasks:
            raise SettingsError(
                f"service {self.name} has no task; declare one with @service.task or service.add"
            )
        lease_seconds, grace_seconds = _lease(lease), _grace(grace)
        if not isinstance(register, bool):
            raise SettingsError(f"register must be True or False, not {register!r}")
        settings = read_settings(
            address=address,
            token=token,
            namespace=namespace,
            host=host,
            port=port,
            advertise_host=advertise_host,
            identity_keys=identity_keys,
        )
        running = Serving(
            settings,
            service_name=self.name,
            service_version=self.version,
            tasks=self._tasks,
            threads=self._threads,
            lease=lease_seconds,
            register=register,
        )
        try:
            await running.start()
            yield running
        finally:
            await running.stop(grace_seconds)

    async def answer(
        self, request: task_handler_service_pb2.HandleEventRequest
    ) -> task_handler_service_pb2.HandleEventResponse:
        """Returns the response that a router would get for this request. For tests without a
        server."""
        invoker = Invoker(self._tasks, self.name, self._threads)
        try:
            return await invoker.call(request, None)
        finally:
            invoker.close()

    def blocking_servicer(self) -> BlockingTaskServicer:
        """A servicer for a synchronous gRPC server, or for grpcio-testing."""
        return BlockingTaskServicer(Invoker(self._tasks, self.name, self._threads))


def _lease(value: Span) -> float:
    return _setting(value, "lease", shortest=timedelta(seconds=1), longest=HOUR)


def _grace(value: Span) -> float:
    return _setting(value, "grace", shortest=ZERO, longest=DAY)


def _setting(value: Span, what: str, *, shortest: timedelta, longest: timedelta) -> float:
    try:
        return seconds_of(value, what, longest, shortest=shortest)
    except (TypeError, ValueError) as error:
        raise SettingsError(str(error), code="INVALID_ARGUMENT") from None
