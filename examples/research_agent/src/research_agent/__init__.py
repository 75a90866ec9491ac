"""An agent loop as events: plan, ask a person, call tools, reflect, answer or go round again.

Two handler services: `agent` thinks, `tools` does, and they meet in events only. Uses the worker SDK
and chat_model; must not import any other package of this repository.
"""
