"""The client-facing server: thin servicers over the engine's store and broker.

    app             composition: starting, waiting for Postgres and the broker, stopping
    workflows       WorkflowService           dead_letters    DeadLetterService
    handlers        HandlerRegistryService    system          SystemService
    completions     TaskCompletionService

What each RPC does stands in a module of its own: `starting`, `waiting`, `reading`, `changing`,
`completing`, `explaining`. Speaks neither SQL nor AMQP: those stay behind `waystation_core.ports`, and only
`app` knows which adapters there are. Must not import `waystation_router` or `waystation_cli`.
"""
