"""The offline checker: promises, held against what a run's folder says.

Reads files only, so that a saved run can be checked again; nothing here talks to an engine.
"""
