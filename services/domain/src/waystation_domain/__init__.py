"""The rules of Waystation as plain functions and values: what may happen, not how it is stored.

Nothing here does I/O, reads a clock or makes ids and random numbers: they are passed in (`providers`). It
imports only the standard library, so that both the engine and the test kit can use it.
"""
