"""The faults: each kind is a coroutine that injects, holds, heals, and says what effect it had.

They stand in `catalogue.CATALOGUE` with what they need and how long they last.
"""
