"""The handler service that thinks: plans, asks a person, and makes up its mind. Knows of the tools
only what `calls.py` says; must not import them.

    python -m research_agent.agent
"""
