"""Who may call what: one row for each method of the contract. A test proves that the table is complete."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    READER = "reader"
    """Reads everything of its namespaces and changes nothing."""
    CLIENT = "client"
    """Starts workflows and works with their instances."""
    HANDLER = "handler"
    """A handler service: registers its own endpoints, and completes its own deliveries."""
    OPERATOR = "operator"
    """Operates the workflows of its namespaces."""
    ADMIN = "admin"
    """Everything in its namespaces; in every namespace also API tokens, namespaces and the audit log."""
    ROUTER = "router"
    """Waystation itself, calling handler services. Nobody is granted it."""


def _methods(service: str, roles: dict[str, frozenset[Role]]) -> dict[str, frozenset[Role]]:
    return {f"/{service}/{method}": allowed for method, allowed in roles.items()}


_ADMINS = frozenset({Role.ADMIN})
_OPERATORS = _ADMINS | {Role.OPERATOR}
_CLIENTS = _OPERATORS | {Role.CLIENT}
_HANDLERS = _OPERATORS | {Role.HANDLER}
_READERS = _CLIENTS | {Role.READER}
_ALL = _READERS | {Role.HANDLER}
_ROUTERS = frozenset({Role.ROUTER})

ROLES: dict[str, frozenset[Role]] = {
    **_methods(
        "waystation.v1.WorkflowService",
        {
            "StartWorkflow": _CLIENTS,
            "RunWorkflow": _CLIENTS,
            "WaitWorkflow": _READERS,
            "RunWorkflows": _READERS,
            "GetWorkflow": _READERS,
            "ListWorkflows": _READERS,
            "FindWorkflowIds": _READERS,
            "ListEvents": _READERS,
            "ListHistory": _READERS,
            "WatchWorkflow": _READERS,
            "ProvideInput": _CLIENTS,
            "PublishEvent": _CLIENTS,
            "CancelWorkflow": _CLIENTS,
            "ExplainWorkflow": _READERS,
            "ReplayWorkflow": _OPERATORS,
            "ForkWorkflow": _OPERATORS,
        },
    ),
    **_methods(
        "waystation.v1.TaskHandlerService", {"HandleEvent": _ROUTERS, "HandleEvents": _ROUTERS}
    ),
    **_methods(
        "waystation.v1.DeliveryCompletionService",
        {"CompleteDelivery": _HANDLERS, "FailDelivery": _HANDLERS, "ExtendDelivery": _HANDLERS},
    ),
    **_methods(
        "waystation.v1.HandlerRegistryService",
        {
            "RegisterHandler": _HANDLERS,
            "RenewHandler": _HANDLERS,
            "UnregisterHandler": _HANDLERS,
            "RetireTask": _OPERATORS,
            "ListHandlers": _ALL,
        },
    ),
    **_methods(
        "waystation.v1.DeadLetterService",
        {
            "ListDeadLetters": _READERS,
            "CountDeadLetters": _READERS,
            "RetryDeadLetter": _OPERATORS,
            "DiscardDeadLetter": _OPERATORS,
            "RetryDeadLetters": _OPERATORS,
            "DiscardDeadLetters": _OPERATORS,
        },
    ),
    **_methods("waystation.v1.SystemService", {"GetSystemStatus": _READERS, "GetFlow": _READERS}),
    **_methods(
        "waystation.v1.TokenService",
        {"CreateToken": _ADMINS, "ListTokens": _ADMINS, "RevokeToken": _ADMINS},
    ),
    **_methods(
        "waystation.v1.NamespaceService",
        {
            "CreateNamespace": _ADMINS,
            "GetNamespace": _ALL,
            "UpdateNamespace": _ADMINS,
            "ListNamespaces": _ALL,
            "DeleteNamespace": _ADMINS,
        },
    ),
    **_methods("waystation.v1.AuditService", {"ListAudit": _ADMINS}),
    **_methods("grpc.reflection.v1alpha.ServerReflection", {"ServerReflectionInfo": _ALL}),
}
"""The roles that may call a method, by its full name. Nobody may call a method that is not here."""

OPEN_TO_ALL = frozenset(f"/grpc.health.v1.Health/{method}" for method in ("Check", "Watch", "List"))
"""Methods that need no credential."""

OF_SEVERAL_NAMESPACES = frozenset({"/waystation.v1.AuditService/ListAudit"})
"""Methods that are about all namespaces in which the caller has the role, if a request names none."""

OF_THE_INSTALLATION = frozenset(
    method
    for method, roles in ROLES.items()
    if method.startswith(("/waystation.v1.TokenService/", "/waystation.v1.NamespaceService/"))
    and roles == _ADMINS
)
"""Methods that need their role in every namespace: what they change is nobody's own."""
