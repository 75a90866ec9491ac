"""The `waystation` command, and the whole engine in one process (`waystation dev`).

May import the api, the router and core; nothing imports it.
"""
