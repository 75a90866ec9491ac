"""The whole engine in one process: what `waystation dev` starts and stops.

Composes the servers of the api and the router with an in-process broker and a Postgres of its own.
Holds no rule of the engine itself.
"""
