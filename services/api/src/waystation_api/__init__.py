"""The client-facing server: thin servicers over the engine's store and broker.

    app             composition: starting, waiting for Postgres and the broker, stopping
    workflows       WorkflowService           dead_letters    DeadLetterService
    handlers        HandlerRegistryService    system          SystemService
    completions     DeliveryCompletionService

What each RPC does stands in modules of its own, named after it:

    starting, waiting, watching, reading, changing            an instance's life
    bulk, letter_portions                                     dead letters of many instances
    completing                                                pending calls
    tasks, registering, registered, retiring, catch_ups       tasks and their declarations
    replaying, replay_report, past, forking                   what has been, once more
    explaining, blockers, timed, no_router                    why an instance stands still
    flowing                                                   which event may follow which

Speaks neither SQL nor AMQP: those stay behind `waystation_core.ports`, and only `app` knows which
adapters there are. Must not import `waystation_router` or `waystation_cli`.
"""
