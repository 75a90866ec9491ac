"""What the engine needs from outside: one protocol for each outside system, with its values.

The docstrings here are the specification that adapters (store, broker, rpc) are tested against. Nothing in
this package does I/O. It may import `waystation_domain` and the standard library, and must not import
`store`, `broker`, `rpc`, nor any driver.
"""
