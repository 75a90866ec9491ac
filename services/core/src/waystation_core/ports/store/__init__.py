"""The store: what the engine needs from Postgres. One adapter, `waystation_core.store`.

Five interfaces: `EngineStore` has the work (load, commit, sweep), `RegistryStore` handlers and tasks,
`QueryStore` reads, `AuditStore` has who changed what, `TokenStore` API tokens. All times are the database's, so
that routers with wrong clocks agree. Every method raises StoreUnavailable if Postgres cannot be reached or
cannot do its work (it is read-only, a privilege or a table is missing, anything that the call's own data does
not explain); then nothing or everything of the call has happened, and repeating it unchanged is safe.
"""

from __future__ import annotations

from waystation_core.ports.store.audit import (
    AuditedCall,
    AuditEntry,
    AuditFilter,
    AuditStore,
    StoredAuditEntry,
)
from waystation_core.ports.store.dead_letters import (
    DeadLetterCounts,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterInstances,
    InstanceDeadLetters,
    OpenDeadLetters,
)
from waystation_core.ports.store.handlers import (
    NamespaceState,
    Registration,
    RegistrySnapshot,
    RegistryStore,
    ToCatchUp,
    Undeclared,
)
from waystation_core.ports.store.namespaces import (
    NamespaceStore,
    NamespaceUsage,
    StoredNamespace,
)
from waystation_core.ports.store.questions import (
    DeliveryFact,
    FirstFew,
    FlowPortion,
    HistoryFilter,
    HistoryPortion,
    HistoryTail,
    LeaseState,
    OpenWork,
    OutboxFact,
    QueryStore,
    RouterFact,
    StoredEvent,
    SystemFacts,
    SystemNumbers,
    TimerFact,
    WorkflowFilter,
    WorkflowsFound,
)
from waystation_core.ports.store.routers import (
    BrokenLeases,
    DueEvent,
    Heartbeat,
    LeasedRow,
    MadeDue,
    RouterReport,
)
from waystation_core.ports.store.tokens import (
    StoredToken,
    TokenGrants,
    TokenStore,
    ValidToken,
)
from waystation_core.ports.store.work import (
    Committed,
    EngineStore,
    Loaded,
    Locked,
    LongRequest,
    RegistryMoved,
    Started,
    Tally,
    WriteRefused,
)
from waystation_domain.stored import DeadLetterFact, StoredEntry

__all__ = [
    "AuditEntry",
    "AuditFilter",
    "AuditStore",
    "AuditedCall",
    "BrokenLeases",
    "Committed",
    "DeadLetterCounts",
    "DeadLetterFact",
    "DeadLetterFilter",
    "DeadLetterGroup",
    "DeadLetterInstances",
    "DeliveryFact",
    "DueEvent",
    "EngineStore",
    "FirstFew",
    "FlowPortion",
    "Heartbeat",
    "HistoryFilter",
    "HistoryPortion",
    "HistoryTail",
    "InstanceDeadLetters",
    "LeaseState",
    "LeasedRow",
    "Loaded",
    "Locked",
    "LongRequest",
    "MadeDue",
    "NamespaceState",
    "NamespaceStore",
    "NamespaceUsage",
    "OpenDeadLetters",
    "OpenWork",
    "OutboxFact",
    "QueryStore",
    "Registration",
    "RegistryMoved",
    "RegistrySnapshot",
    "RegistryStore",
    "RouterFact",
    "RouterReport",
    "Started",
    "StoredAuditEntry",
    "StoredEntry",
    "StoredEvent",
    "StoredNamespace",
    "StoredToken",
    "SystemFacts",
    "SystemNumbers",
    "Tally",
    "TimerFact",
    "ToCatchUp",
    "TokenGrants",
    "TokenStore",
    "Undeclared",
    "ValidToken",
    "WorkflowFilter",
    "WorkflowsFound",
    "WriteRefused",
]
