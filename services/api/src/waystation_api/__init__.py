"""The client-facing server: one package for each resource of the contract.

    app             composition: what is made of what, start and stop
    gate            refuses calls while the server starts
    workflows       WorkflowService           dead_letters    DeadLetterService
    explanation     its ExplainWorkflow       deliveries      DeliveryCompletionService
    handlers        HandlerRegistryService    system          SystemService
    namespaces      NamespaceService          tokens          TokenService
    audit           AuditService, and what is recorded of calls

In each package, `service` has the gRPC methods, and other modules do what they ask for. Shared by all: requests
(checks, repeated requests), filters, pages (of lists), batches (many items as one statement).

Speaks neither SQL nor AMQP: those stay behind `waystation_core.ports`, and only `app` knows which
adapters there are. Must not import `waystation_router` or `waystation_cli`.
"""
