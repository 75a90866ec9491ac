"""Insurance claims as an event-driven workflow: what a handler team would write.

Uses the worker SDK only; must not import any other part of the house.
"""
