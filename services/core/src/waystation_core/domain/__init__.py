"""The rules of Waystation as plain functions and values: what may happen, never how it is kept.

Nothing in this room does I/O, reads a clock or draws ids and chance by itself: they are passed in.
It may import the standard library and orjson, and must not import `ports`, `store`, `broker`,
`rpc`, protobuf or gRPC.
"""
