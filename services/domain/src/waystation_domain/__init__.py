"""The rules of Waystation as plain functions and values: what may happen, never how it is kept.

Nothing here does I/O, reads a clock or draws ids and chance by itself: they are passed in (`providers`).
It imports the standard library and nothing else, so that whoever decides by these rules, the engine
or a test in memory, needs nothing of the other.
"""
