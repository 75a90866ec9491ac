"""Postgres: the one store. Implements `ports.store` and knows SQL; nothing else in the house does.

May import `ports` and `domain`; never `broker` or `rpc`.
"""
