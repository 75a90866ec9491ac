"""The flow of events through tasks: what specs declare, laid over what history shows.

There is no workflow definition anywhere, so this is where one can be looked at: `graph` builds a
graph of tasks and event types for each workflow type, `linting` says what is wrong with it.
"""
