"""The server that clients and handler services talk to.

Turns requests into calls on the store and announcements on the broker. Must not import the router
or the command line.
"""
