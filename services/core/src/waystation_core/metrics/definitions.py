"""Every metric of API and routers, with what it means. docs/metrics.md is made from this module.

Names follow Prometheus' rules: base units, `_seconds`, `_total`. Those of gRPC follow OpenTelemetry's convention
for RPC. No label has an id of a workflow or an event, an address, or a free text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MOST_LABELS = 1_000
"""Different combinations of label values of one metric in one process; further ones count as `other`."""

SYSTEM_EVERY_SECONDS = 15.0
"""How old the numbers of the whole installation may be."""

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0)
_CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0)
_RPC = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LIVES = (
    0.1,
    0.5,
    1.0,
    5.0,
    30.0,
    120.0,
    600.0,
    3_600.0,
    21_600.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
)
_SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


class Kind(Enum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `servers` says who has it: `api`, `router`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    servers: tuple[str, ...] = ("api", "router")
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram, without infinity."""


_TASK = ("namespace", "task_id")
_TYPE = ("namespace", "workflow_type")

# --- every server -------------------------------------------------------------------------------

BUILD_INFO = Definition(
    "waystation_build_info",
    Kind.GAUGE,
    "Always 1; its label says which release runs.",
    ("server", "version"),
)
STORE_UP = Definition(
    "waystation_store_up",
    Kind.GAUGE,
    "1 while writes to Postgres work, else 0.",
    ("server",),
)
BROKER_UP = Definition(
    "waystation_broker_up",
    Kind.GAUGE,
    "1 while the server is connected to RabbitMQ and may publish, else 0.",
    ("server",),
)
STORE_CONNECTIONS = Definition(
    "waystation_store_connections",
    Kind.GAUGE,
    "Connections to Postgres: in use, or idle.",
    ("pool", "state"),
)
STORE_CONNECTIONS_LIMIT = Definition(
    "waystation_store_connections_limit",
    Kind.GAUGE,
    "Connections to Postgres that the pool may open.",
    ("pool",),
)
STORE_WAITING = Definition(
    "waystation_store_waiting",
    Kind.GAUGE,
    "Requests that wait for a connection to Postgres now.",
    ("pool",),
)
STORE_WAITED = Definition(
    "waystation_store_waited_seconds_total",
    Kind.COUNTER,
    "Time that requests waited for a connection to Postgres.",
    ("pool",),
)
STORE_LOST = Definition(
    "waystation_store_connections_lost_total",
    Kind.COUNTER,
    "Connections to Postgres that could not be opened, or were lost.",
    ("pool",),
)
ANNOUNCEMENTS = Definition(
    "waystation_announcements_total",
    Kind.COUNTER,
    "Events announced over RabbitMQ: for the first time, again by a sweep, or not taken by the broker.",
    ("kind",),
)
CERTIFICATE_END = Definition(
    "waystation_certificate_end_timestamp_seconds",
    Kind.GAUGE,
    "When the certificates in the file of this setting end, in seconds since 1970.",
    ("setting",),
)
STARTED = Definition(
    "waystation_workflows_started_total",
    Kind.COUNTER,
    "Workflows started by this server. A start whose answer from Postgres was lost is not counted.",
    _TYPE,
    ("api",),
)
ENDED = Definition(
    "waystation_workflows_ended_total",
    Kind.COUNTER,
    "Workflows that reached COMPLETED, FAILED or CANCELLED by a commit of this server. One that an operator continues "
    "may end again.",
    (*_TYPE, "status"),
)
DURATION = Definition(
    "waystation_workflow_duration_seconds",
    Kind.HISTOGRAM,
    "From the start of a workflow to its end, by the clock of Postgres.",
    (*_TYPE, "status"),
    buckets=_LIVES,
)
DEAD_LETTERS = Definition(
    "waystation_dead_letters_total",
    Kind.COUNTER,
    "Deliveries that became dead letters by a commit of this server.",
    _TASK,
)

# --- API ----------------------------------------------------------------------------------------

RPC_DURATION = Definition(
    "rpc_server_call_duration_seconds",
    Kind.HISTOGRAM,
    "Calls of clients and handler services until their last message. Calls that wait, and streams, last as long as "
    "their callers want.",
    ("rpc_method", "rpc_response_status_code"),
    ("api",),
    _RPC,
)

# --- API: the whole installation ----------------------------------------------------------------

OLDEST = Definition(
    "waystation_oldest_unsettled_event_age_seconds",
    Kind.GAUGE,
    "Age of the oldest event that waits for the engine or a task; 0 if there is none. Events that wait for an "
    "operator or for a pending result do not count.",
    servers=("api",),
)
OUTBOX = Definition(
    "waystation_outbox_events",
    Kind.GAUGE,
    "Events that are not settled and have no rows of deliveries. At most 1,000,001 are counted.",
    servers=("api",),
)
DELIVERIES_OPEN = Definition(
    "waystation_deliveries_open",
    Kind.GAUGE,
    "Deliveries off the direct way, by state. At most 1,000,001 are counted.",
    ("state",),
    ("api",),
)
BACKLOG_LIMIT = Definition(
    "waystation_backlog_limit",
    Kind.GAUGE,
    "Waiting events and deliveries at which starts are refused (`WAYSTATION_MAX_BACKLOG`).",
    servers=("api",),
)
DEAD_LETTERS_OPEN = Definition(
    "waystation_dead_letters_open",
    Kind.GAUGE,
    "Dead letters that nobody has retried or discarded. At most 1,000,001 are counted.",
    servers=("api",),
)
WORKFLOWS_OPEN = Definition(
    "waystation_workflows_open",
    Kind.GAUGE,
    "Workflows that have not ended, by status: ACTIVE, or WAITING_FOR_INPUT. Of the newest 50,000 that are not "
    "COMPLETED.",
    ("status",),
    ("api",),
)
WORKFLOWS_IDLE = Definition(
    "waystation_workflows_idle",
    Kind.GAUGE,
    "Open workflows that nothing will continue. Of the newest 50,000 that are not COMPLETED.",
    servers=("api",),
)
ROUTERS = Definition(
    "waystation_routers",
    Kind.GAUGE,
    "Routers with a valid lease, by pool.",
    ("pool",),
    ("api",),
)

# --- routers ------------------------------------------------------------------------------------

DELIVERY_WAIT = Definition(
    "waystation_delivery_wait_seconds",
    Kind.HISTOGRAM,
    "From the commit of an event to the first call of a task for it: `direct`, or from the time until which the event "
    "was delayed: `delayed`. By the clock of Postgres; retries do not count.",
    (*_TASK, "path"),
    ("router",),
    _WAITS,
)
TASK_CALL = Definition(
    "waystation_task_call_seconds",
    Kind.HISTOGRAM,
    "Calls of tasks as the router sees them: `succeeded`, `pending`, `failed`, or `cut` because the endpoint died.",
    (*_TASK, "outcome"),
    ("router",),
    _CALLS,
)
DELIVERIES = Definition(
    "waystation_deliveries_total",
    Kind.COUNTER,
    "Results of calls, by what was decided about them: `applied`, `failed_retried`, `failed_final`, `duplicate`, `skipped`, "
    "`held`, `conflict` (called again), `wait` (decided again a little later).",
    (*_TASK, "verdict"),
    ("router",),
)
TASK_FAILURES = Definition(
    "waystation_task_failures_total",
    Kind.COUNTER,
    "Failed attempts, by code: that of gRPC, TASK_FAILURE where the task itself reports it, or CUT.",
    (*_TASK, "code"),
    ("router",),
)
CALLS_IN_FLIGHT = Definition(
    "waystation_calls_in_flight",
    Kind.GAUGE,
    "Calls of tasks that this router waits for.",
    _TASK,
    ("router",),
)
CALLS_WAITING = Definition(
    "waystation_calls_waiting",
    Kind.GAUGE,
    "Deliveries in this router that wait because their task, or their namespace, has no free place.",
    _TASK,
    ("router",),
)
COMMIT = Definition(
    "waystation_commit_seconds",
    Kind.HISTOGRAM,
    "One commit of results: a `batch` of instances in one statement, or one instance `locked`.",
    ("path",),
    ("router",),
    _SHORT,
)
COMMIT_BATCH = Definition(
    "waystation_commit_batch_size",
    Kind.HISTOGRAM,
    "Instances in one batch of commits.",
    (),
    ("router",),
    _SIZES,
)
COMMITS_WAITING = Definition(
    "waystation_commits_waiting",
    Kind.GAUGE,
    "Events whose commit waits in this router.",
    servers=("router",),
)
EVENTS_IN_HAND = Definition(
    "waystation_events_in_hand",
    Kind.GAUGE,
    "Events that this router is handling.",
    servers=("router",),
)
CONTINUED = Definition(
    "waystation_events_continued_total",
    Kind.COUNTER,
    "Events that the router took from its own commits, without RabbitMQ.",
    servers=("router",),
)
TIMER_LAG = Definition(
    "waystation_timer_lag_seconds",
    Kind.HISTOGRAM,
    "From the time at which a timer was due until a router took it, by the clock of Postgres.",
    ("kind",),
    ("router",),
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0),
)
ENDPOINTS = Definition(
    "waystation_endpoints",
    Kind.GAUGE,
    "Endpoints of a service as this router sees them: `ok`, `circuit_open`, `refusing` (it does not know this router), "
    "`unreachable` (not connected, or not serving).",
    ("namespace", "service", "state"),
    ("router",),
)
LEASES_BROKEN = Definition(
    "waystation_leases_broken_total",
    Kind.COUNTER,
    "Deliveries taken over from routers that died.",
    servers=("router",),
)

ALL: tuple[Definition, ...] = tuple(
    each for each in dict(globals()).values() if isinstance(each, Definition)
)
