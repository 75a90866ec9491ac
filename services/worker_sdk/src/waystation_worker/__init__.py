"""The Python SDK: write handler services and start workflows.

    HandlerService   hosts tasks; a task gets a TaskContext, with an Event and a DataObject, and
                     raises events (NewEvent)
    Task             a task as a class
    Client           starts workflows, waits for them, watches, answers and cancels them; completes
                     pending deliveries with a TaskResult; dead letters, handlers, the system
    errors           waystation_worker.errors shows the hierarchy

It needs only the generated contract, the grpcio family and protobuf, and must not import any other
part of this repository.
"""

from waystation_worker.audit import Audit, AuditEntry
from waystation_worker.class_style import Task
from waystation_worker.client import Client
from waystation_worker.context import TaskContext
from waystation_worker.data import DataList, DataObject
from waystation_worker.dead_letters import (
    DeadLetter,
    DeadLetterCount,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetters,
)
from waystation_worker.errors import (
    AlreadyExists,
    DeliveryNotFound,
    InvalidRequest,
    LimitExceeded,
    NotAllowed,
    NotAvailable,
    NotFound,
    PermissionDenied,
    Reject,
    RequestIdReused,
    RetryAfter,
    SettingsError,
    TlsFailed,
    Unauthenticated,
    Unavailable,
    VersionMismatch,
    WaitIdRequired,
    WaystationError,
    WorkflowAlreadyExists,
    WorkflowEnded,
    WorkflowNotFound,
    WorkflowNotWaiting,
    WrongState,
)
from waystation_worker.events import Event, NewEvent
from waystation_worker.handlers import Handler, Handlers
from waystation_worker.namespaces import Namespace, NamespaceLimits, Namespaces, NamespaceUsage
from waystation_worker.replays import ReplayDifference, ReplayStep
from waystation_worker.result import TaskResult
from waystation_worker.server import Serving
from waystation_worker.service import HandlerService
from waystation_worker.starts import NewWorkflow, StartResult
from waystation_worker.system import System
from waystation_worker.tasks import Backoff
from waystation_worker.tokens import Token, Tokens
from waystation_worker.workflow_reader import WorkflowFilter
from waystation_worker.workflows import (
    EventWithState,
    Failure,
    HistoryEntry,
    PublishedEvent,
    Wait,
    Workflow,
)

__all__ = [
    "AlreadyExists",
    "Audit",
    "AuditEntry",
    "Backoff",
    "Client",
    "DataList",
    "DataObject",
    "DeadLetter",
    "DeadLetterCount",
    "DeadLetterFilter",
    "DeadLetterGroup",
    "DeadLetters",
    "DeliveryNotFound",
    "Event",
    "EventWithState",
    "Failure",
    "Handler",
    "HandlerService",
    "Handlers",
    "HistoryEntry",
    "InvalidRequest",
    "LimitExceeded",
    "Namespace",
    "NamespaceLimits",
    "NamespaceUsage",
    "Namespaces",
    "NewEvent",
    "NewWorkflow",
    "NotAllowed",
    "NotAvailable",
    "NotFound",
    "PermissionDenied",
    "PublishedEvent",
    "Reject",
    "ReplayDifference",
    "ReplayStep",
    "RequestIdReused",
    "RetryAfter",
    "Serving",
    "SettingsError",
    "StartResult",
    "System",
    "Task",
    "TaskContext",
    "TaskResult",
    "TlsFailed",
    "Token",
    "Tokens",
    "Unauthenticated",
    "Unavailable",
    "VersionMismatch",
    "Wait",
    "WaitIdRequired",
    "WaystationError",
    "Workflow",
    "WorkflowAlreadyExists",
    "WorkflowEnded",
    "WorkflowFilter",
    "WorkflowNotFound",
    "WorkflowNotWaiting",
    "WrongState",
]
