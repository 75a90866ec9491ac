"""Which methods are audited, beside `roles`: one row for each method that changes something. A test proves that the
table is complete."""

from __future__ import annotations


def _methods(service: str, targets: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {f"/waystation.v1.{service}/{method}": fields for method, fields in targets.items()}


_DEAD_LETTERS = (
    "all",
    *(
        f"filter.{field}"
        for field in (
            "workflow_instance_ids",
            "workflow_types",
            "task_ids",
            "event_types",
            "reasons",
            "id_prefix",
        )
    ),
)

AUDITED: dict[str, tuple[str, ...]] = {
    **_methods(
        "WorkflowService",
        {
            "ProvideInput": ("workflow_instance_id", "wait_id"),
            "PublishEvent": ("workflow_instance_id", "event.event_type"),
            "CancelWorkflow": ("workflow_instance_id",),
            "ForkWorkflow": ("workflow_instance_id", "new_workflow_instance_id", "at_sequence"),
        },
    ),
    **_methods(
        "HandlerRegistryService",
        {
            "RegisterHandler": ("service_name", "service_version", "host", "port"),
            "UnregisterHandler": ("handler_id",),
            "RetireTask": ("task_id",),
        },
    ),
    **_methods(
        "DeadLetterService",
        {
            "RetryDeadLetter": ("dead_letter_id",),
            "DiscardDeadLetter": ("dead_letter_id",),
            "RetryDeadLetters": _DEAD_LETTERS,
            "DiscardDeadLetters": _DEAD_LETTERS,
        },
    ),
    **_methods(
        "TokenService",
        {"CreateToken": ("name", "service_names"), "RevokeToken": ("token_id",)},
    ),
    **_methods(
        "NamespaceService",
        {
            "CreateNamespace": ("name",),
            "UpdateNamespace": ("name",),
            "DeleteNamespace": ("name",),
        },
    ),
}
"""By a method's full name: the fields of its request that say what it is about. Ids and names, never payloads and
never secrets."""

NOT_AUDITED = frozenset(
    {
        # As many as there is work; the history of each instance names who started it.
        "/waystation.v1.WorkflowService/StartWorkflow",
        "/waystation.v1.WorkflowService/RunWorkflow",
        "/waystation.v1.WorkflowService/RunWorkflows",
        # The answers of tasks, as many as there is work.
        "/waystation.v1.DeliveryCompletionService/CompleteDelivery",
        "/waystation.v1.DeliveryCompletionService/FailDelivery",
        "/waystation.v1.DeliveryCompletionService/ExtendDelivery",
        # Several in a minute from each endpoint, and nothing but a time changes.
        "/waystation.v1.HandlerRegistryService/RenewHandler",
        # The engine calls these itself.
        "/waystation.v1.TaskHandlerService/HandleEvent",
        "/waystation.v1.TaskHandlerService/HandleEvents",
    }
)
"""The other methods that change something."""
