"""Insurance claims as an event-driven workflow: what a handler team would write.

One module per task; `service.py` says which events each of them handles. Uses the worker SDK,
chat_model and, for the demo's screen, rich; must not import any other package of this repository.
"""
