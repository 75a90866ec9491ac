"""Postgres: the one store. Implements `ports.store`; no other package contains SQL.

May import `ports` and `domain`; never `broker` or `rpc`.
"""
