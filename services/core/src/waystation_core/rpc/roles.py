"""Who may call what: one row for each method of the contract. A test proves that the table is complete.

Nothing uses it yet: authentication comes later, and will use only this table.
"""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    CLIENT = "client"
    """Starts workflows and works with their instances."""
    HANDLER = "handler"
    """A handler service: registers, and completes its pending deliveries."""
    OPERATOR = "operator"
    """Operates the installation."""
    ROUTER = "router"
    """Waystation itself, calling handler services."""
    ANYONE = "anyone"
    """Health and reflection."""


def _methods(service: str, roles: dict[str, frozenset[Role]]) -> dict[str, frozenset[Role]]:
    return {f"/{service}/{method}": allowed for method, allowed in roles.items()}


_CLIENTS = frozenset({Role.CLIENT, Role.OPERATOR})
_HANDLERS = frozenset({Role.HANDLER, Role.OPERATOR})
_OPERATORS = frozenset({Role.OPERATOR})
_ANYONE = frozenset(Role)

ROLES: dict[str, frozenset[Role]] = {
    **_methods(
        "waystation.v1.WorkflowService",
        {
            "StartWorkflow": _CLIENTS,
            "RunWorkflow": _CLIENTS,
            "WaitWorkflow": _CLIENTS,
            "RunWorkflows": _CLIENTS,
            "GetWorkflow": _CLIENTS,
            "ListWorkflows": _CLIENTS,
            "FindWorkflowIds": _CLIENTS,
            "ListEvents": _CLIENTS,
            "ListHistory": _CLIENTS,
            "WatchWorkflow": _CLIENTS,
            "ProvideInput": _CLIENTS,
            "PublishEvent": _CLIENTS,
            "CancelWorkflow": _CLIENTS,
            "ExplainWorkflow": _CLIENTS,
            "ReplayWorkflow": _OPERATORS,
            "ForkWorkflow": _OPERATORS,
        },
    ),
    **_methods(
        "waystation.v1.TaskHandlerService",
        {"HandleEvent": frozenset({Role.ROUTER}), "HandleEvents": frozenset({Role.ROUTER})},
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
            "ListHandlers": _HANDLERS,
        },
    ),
    **_methods(
        "waystation.v1.DeadLetterService",
        {
            "ListDeadLetters": _OPERATORS,
            "CountDeadLetters": _OPERATORS,
            "RetryDeadLetter": _OPERATORS,
            "DiscardDeadLetter": _OPERATORS,
            "RetryDeadLetters": _OPERATORS,
            "DiscardDeadLetters": _OPERATORS,
        },
    ),
    **_methods(
        "waystation.v1.SystemService", {"GetSystemStatus": _OPERATORS, "GetFlow": _OPERATORS}
    ),
    **_methods("grpc.health.v1.Health", {"Check": _ANYONE, "Watch": _ANYONE, "List": _ANYONE}),
    **_methods("grpc.reflection.v1alpha.ServerReflection", {"ServerReflectionInfo": _ANYONE}),
}
"""By full method name. Nobody may call a method that is not here."""
