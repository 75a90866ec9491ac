"""Takes events from the broker, calls their tasks, commits the results, announces what follows.

Must not import the api or the command line.
"""
