"""gRPC as Waystation uses it: errors as statuses, the server builder, channels, logs.

Everything here is what more than one process needs. This package knows ports and domain; it must
not import `store` or `broker`, so that no error or type of a driver can reach a caller.
"""
