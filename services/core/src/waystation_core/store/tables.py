"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test holds the two equal.

Why they look as they do:

- `workflow_instances` is the lock of everything below it. `version` counts entries of history;
  `revision` is raised by every transaction that touches the instance or its deliveries, so an
  unmoved revision proves that all a router knows of the instance still holds.
- `events` rows are written once and never changed. Where an event stands follows from its outbox
  row, its deliveries and its entries in history.
- An `outbox` row says: the tasks of this event are not fixed yet. A `deliveries` row says: this
  delivery is open and off the fast way. Neither: the event is settled.
- There are no foreign keys: the engine writes parent and child in one statement, and a check per
  row would cost as much as the row.
- JSON that must come back bit for bit is `json`, not `jsonb`, which rewrites numbers and keys.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from waystation_core.store import states

metadata = MetaData()


def _when(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=func.now() if default else None,
    )


def _since_ever(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("'-infinity'"))


workflow_instances = Table(
    "workflow_instances",
    metadata,
    Column("key", BigInteger, Identity(always=True), primary_key=True),
    Column("namespace", Text(collation="C"), nullable=False),
    Column("workflow_instance_id", Text(collation="C"), nullable=False),
    Column("workflow_type", Text(collation="C"), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Column("waits", JSON),
    Column("failure", JSON),
    Column("output", JSON),
    Column("correlation_id", Text),
    _when("created_at", default=True),
    _when("updated_at", default=True),
    _when("completed_at", nullable=True),
    _when("deadline", nullable=True),
    Column("unsettled", Integer, nullable=False),
    Column("dead_letters", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("idle", JSON),
    _when("idle_since", nullable=True),
    Column("turn_holder", Text),
    _when("turn_until", nullable=True),
    Column("start_digest", LargeBinary, nullable=False),
    Column("start_request_id", Text(collation="C")),
    # Fan-out groups that have not fired.
    Column("groups", JSON),
    # Rows of `timers` that will move the instance by themselves.
    Column("timers", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("namespace", "workflow_instance_id", name="workflow_instances_id"),
    Index(
        "workflow_instances_request",
        "namespace",
        "start_request_id",
        unique=True,
        postgresql_where=text("start_request_id IS NOT NULL"),
    ),
    # Without the namespace: with it, the planner takes this index for look-ups by id, too, while it
    # has no statistics and believes that a namespace has few instances.
    Index("workflow_instances_created", "created_at", "key"),
    # Lists of what few instances have, as nothing is ever deleted: `workflow_lists` walks along these.
    Index("workflow_instances_type", "workflow_type", "created_at", "key"),
    Index(
        "workflow_instances_correlation",
        "correlation_id",
        postgresql_where=text("correlation_id IS NOT NULL"),
    ),
    # Open, failed and cancelled ones.
    Index(
        "workflow_instances_not_completed",
        "created_at",
        "key",
        postgresql_where=text(f"status <> {states.COMPLETED}"),
    ),
)

history = Table(
    "history",
    metadata,
    Column("instance_key", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("event_id", Uuid),
    Column("event_type", Text, nullable=False),
    _when("processed_at", default=True),
    Column("processed_by", Text, nullable=False),
    Column("result", SmallInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("will_retry", Boolean, nullable=False),
    _when("next_attempt_at", nullable=True),
    Column("duration_us", BigInteger),
    Column("error", JSON),
    Column("base_version", Integer, nullable=False),
    Column("change", JSON),
    Column("raised", ARRAY(Uuid)),
    Column("service_name", Text),
    Column("service_version", Text),
    Column("endpoint", Text),
    Column("status", SmallInteger, nullable=False),
    Column("action", Text),
    Column("effects", JSON),
    Column("detail", JSON),
    # Who made the call behind it; null for tasks and the system.
    Column("principal", Text),
    # The last guard of "takes effect exactly once"; the engine's own rules come first.
    Index(
        "history_final_outcome",
        "event_id",
        "processed_by",
        unique=True,
        postgresql_where=text(f"attempt > 0 AND {states.one_of('result', states.FINAL)}"),
    ),
    # For catch-up. Almost every workflow that ends leaves an unhandled `workflow.completed`: what
    # was unhandled after the end is left out, or a new task's first look would read all of them.
    Index(
        "history_unhandled",
        "instance_key",
        postgresql_where=text(
            f"result = {states.UNHANDLED} AND {states.one_of('status', states.OPEN)}"
        ),
    ),
)

events = Table(
    "events",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("instance_key", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    _when("created_at", default=True),
    Column("correlation_id", Text),
    Column("priority", SmallInteger),
    Column("causation_id", Uuid),
    Column("raised_by", Text, nullable=False),
    Column("schema_version", Text),
    Column("metadata", JSON),
    # Raised by the end of an instance, or while handling what was: delivered though it has ended.
    Column("after_end", Boolean, nullable=False),
    # The version of the commit that raised it.
    Column("version", Integer, nullable=False),
    _when("deliver_at", nullable=True),
    _when("expires_at", nullable=True),
    # Its innermost fan-out group, and which of the group's branches it belongs to.
    Column("group_id", Uuid),
    Column("branch", Integer),
)

outbox = Table(
    "outbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("instance_key", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    _when("created_at", default=True),
    _when("announced_at", default=True),
    _when("due_at"),
    Column("announcements", SmallInteger, nullable=False),
    Index("outbox_due", "due_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("task_id", Text(collation="C"), primary_key=True),
    Column("instance_key", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Attempts spent so far.
    Column("attempts", Integer, nullable=False),
    Column("suspect", Boolean, nullable=False),
    Column("conflicts", Integer, nullable=False),
    _when("due_at"),
    Column("leased_by", Uuid),
    # Counts edited retries; part of the idempotency key.
    Column("edit", Integer, nullable=False),
    Column("payload", JSON),
    Column("last_error", JSON),
    _when("since", default=True),
    # A retry of what was settled before: its group does not wait for it.
    Column("outside_group", Boolean, nullable=False, server_default=text("false")),
    # Of its instance: tasks of two namespaces may have one id.
    Column("namespace", Text(collation="C"), nullable=False, server_default=text("'default'")),
    Index("deliveries_due", "due_at", postgresql_where=text(f"state = {states.READY}")),
    Index("deliveries_leased", "leased_by", postgresql_where=text(f"state = {states.LEASED}")),
    Index(
        "deliveries_suspect", "due_at", postgresql_where=text(f"state = {states.READY} AND suspect")
    ),
    Index("deliveries_task", "namespace", "task_id", "instance_key"),
    Index(
        "deliveries_parked",
        "namespace",
        "task_id",
        "due_at",
        postgresql_where=text(states.one_of("state", states.PARKED)),
    ),
    Index("deliveries_pending", "due_at", postgresql_where=text(f"state = {states.PENDING}")),
    Index("deliveries_instance", "instance_key"),
)

# What is due later and belongs to one instance: delayed and expiring events, deadlines, and cleaning
# up after its end. A delayed event has no outbox row before its time.
timers = Table(
    "timers",
    metadata,
    Column("instance_key", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    # What the kind is about: an event's id, a wait's, a group's; empty for the instance itself.
    Column("ref", Text(collation="C"), primary_key=True),
    _when("due_at"),
    Index("timers_due", "due_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("dead_letter_id", Uuid, primary_key=True),
    Column("instance_key", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("task_id", Text(collation="C"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", JSON, nullable=False),
    Column("on_failure", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # The payload as last tried, where an edited retry replaced the event's own.
    Column("payload", JSON),
    Column("edit", Integer, nullable=False),
    _when("created_at", default=True),
    _when("resolved_at", nullable=True),
    Index("dead_letters_created", "created_at", "dead_letter_id"),
    Index(
        "dead_letters_open",
        "event_id",
        "task_id",
        unique=True,
        postgresql_where=text(f"state = {states.OPEN_LETTER}"),
    ),
    Index("dead_letters_instance", "instance_key"),
)

routers = Table(
    "routers",
    metadata,
    Column("router_id", Uuid, primary_key=True),
    Column("pool", Text, nullable=False),
    Column("host", Text, nullable=False),
    _when("started_at", default=True),
    _when("lease_until"),
    Column("calls_in_flight", Integer, nullable=False),
    Column("results_committed", BigInteger, nullable=False),
    # What it sees of each endpoint: handler_id -> {reachable, last_error, calls_in_flight}.
    Column("report", JSON, nullable=False),
    # Topic patterns of its pool; none for the default pool.
    Column("bindings", JSON),
    # When it last compared what is leased to it with what it has: what was leased before `in_hand_before`
    # was in its hand, or given back.
    Column("compared_at", DateTime(timezone=True)),
    Column("in_hand_before", DateTime(timezone=True)),
    # Of the events that its commits raised: those that went over the broker, and those that it handled
    # itself.
    Column("events_announced", BigInteger, nullable=False, server_default=text("0")),
    Column("events_continued", BigInteger, nullable=False, server_default=text("0")),
)

# Pools other than the default one, also for a while after their last router: their queues still hold
# what was announced, until the broker lets them expire.
pools = Table(
    "pools",
    metadata,
    Column("pool", Text(collation="C"), primary_key=True),
    Column("bindings", JSON, nullable=False),
    _when("seen_at", default=True),
    # How long its queue stays without a router, and when it is gone if none comes.
    Column("expires_seconds", Double, nullable=False),
    _when("lapses_at"),
)

registry = Table(
    "registry",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    # Raised when a task's types or workflow types change: the tasks of new events may differ.
    Column("generation", BigInteger, nullable=False),
    # Raised by every change of registrations but renewals: routers reload.
    Column("changes", BigInteger, nullable=False),
    # What completion tokens are sealed with: 32 random bytes.
    Column("completion_key", LargeBinary, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("task_id", Text(collation="C"), primary_key=True),
    Column("service_name", Text(collation="C"), nullable=False),
    Column("spec", JSON, nullable=False),
    _when("first_registered_at", default=True),
    _when("updated_at", default=True),
    # When catch-up looks once more, for commits that did not know the task yet; null: done.
    _when("catch_up_again_at", nullable=True),
    # Retired tasks get no new deliveries. By `operator` permanently, by `system` until they are declared
    # again.
    _when("retired_at", nullable=True),
    Column("retired_by", Text),
    # Since when no live endpoint of its live service declares it.
    _when("undeclared_since", nullable=True),
    # When the process whose spec this is was registered first; only a process that began later changes it.
    _when("began_at", default=True),
)

handlers = Table(
    "handlers",
    metadata,
    Column("handler_id", Uuid, primary_key=True),
    Column("namespace", Text(collation="C"), nullable=False),
    Column("service_name", Text(collation="C"), nullable=False),
    Column("service_version", Text, nullable=False),
    Column("host", Text(collation="C"), nullable=False),
    Column("port", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("lease_seconds", Integer),
    _when("lease_until", nullable=True),
    _when("registered_at", default=True),
    Column("tasks", JSON, nullable=False),
    # When its process was registered first. It stays through lapsed leases.
    _when("began_at", default=True),
    UniqueConstraint("namespace", "service_name", "host", "port", name="handlers_endpoint"),
)

requests = Table(
    "requests",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("rpc", Text(collation="C"), primary_key=True),
    Column("request_id", Text(collation="C"), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    # What the first call answered with, as JSON; its shape is the RPC's own.
    Column("result", JSON, nullable=False),
    _when("created_at", default=True),
    Index("requests_created", "created_at"),
)

# Announcements before some time that may be lost, until all of them are due again. They are brought back
# through the outbox by key, in portions, and each call continues where the last one stopped.
lost_announcements = Table(
    "lost_announcements",
    metadata,
    # `broker`, or the pool whose queue is gone.
    Column("cause", Text, primary_key=True),
    _when("announced_before"),
    # Topic patterns of the events that are meant; null: all.
    Column("bindings", JSON),
    Column("walked_to", Uuid, nullable=False),
)

# What may be named as a namespace, with limits; null does not limit.
namespaces = Table(
    "namespaces",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("description", Text, nullable=False),
    Column("max_open_workflows", BigInteger),
    Column("max_starts_per_second", Double),
    Column("max_in_flight", Integer),
    Column("max_stored_bytes", BigInteger),
    _when("created_at", default=True),
    _when("updated_at", default=True),
    # What it used when that was counted last; `counted` is the number of the count.
    Column("open_workflows", BigInteger, nullable=False, server_default=text("0")),
    Column("stored_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("counted", BigInteger, nullable=False, server_default=text("0")),
    _since_ever("counted_at"),
    _since_ever("measured_at"),
    # Starts that may be taken, as of that time: see `max_starts_per_second`.
    Column("starts_left", Double, nullable=False, server_default=text("0")),
    _when("starts_at", default=True),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_id", Uuid, primary_key=True),
    Column("name", Text(collation="C"), nullable=False),
    # The SHA-256 of the secret, which is stored nowhere.
    Column("digest", LargeBinary, nullable=False),
    # namespace -> names of roles.
    Column("grants", JSON, nullable=False),
    Column("service_names", ARRAY(Text), nullable=False),
    _when("created_at", default=True),
    Column("created_by", Text, nullable=False),
    _when("expires_at", nullable=True),
    _when("revoked_at", nullable=True),
    Index("api_tokens_digest", "digest", unique=True),
    Index("api_tokens_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
    Index("api_tokens_created", "created_at", "token_id"),
)

# One row: the oldest schema version whose release can work on this schema.
schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("works_from", Text(collation="C"), primary_key=True),
)

# Changes by callers, and denied calls. Rows are only ever added.
audit = Table(
    "audit",
    metadata,
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    Column(
        "occurred_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("principal", Text, nullable=False),
    Column("peer", Text, nullable=False),
    # Empty: the whole installation.
    Column("namespace", Text(collation="C"), nullable=False),
    Column("method", Text, nullable=False),
    # What it was about: field of the request -> value.
    Column("target", JSON, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Index("audit_occurred", "occurred_at", "audit_id"),
    Index("audit_namespace", "namespace", "occurred_at", "audit_id"),
    Index("audit_principal", "principal", "occurred_at", "audit_id"),
    Index("audit_method", "method", "occurred_at", "audit_id"),
    Index(
        "audit_denied",
        "occurred_at",
        "audit_id",
        postgresql_where=text("code IN ('UNAUTHENTICATED', 'PERMISSION_DENIED')"),
    ),
)

# The values of `audit.target`, to find entries by them.
audit_targets = Table(
    "audit_targets",
    metadata,
    Column("value", Text(collation="C"), primary_key=True),
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("audit_id", BigInteger, primary_key=True, autoincrement=False),
)
