"""HandlerRegistryService: registrations of endpoints and tasks, and retirement.

service        the gRPC methods
registrations  endpoints and who owns which task
retirement     tasks that get nothing any more
catch_ups      unhandled events for a new task
tasks          the ids of the tasks that handle an event
"""
