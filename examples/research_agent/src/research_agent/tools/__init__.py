"""The handler service that does: offline tools, each a task. Knows of the agent only what `calls.py`
says; must not import it.

    python -m research_agent.tools
"""
