"""The router: takes announced events, calls the tasks that handle them, commits what they answer.

    intake -> calls -> committer -> relay        the fast path
    sweeper                                      what is due, parked, lost or expired
    claims -> calls                              stored deliveries that this router leases
    reconciler                                   compares its leases with what it has in hand
    timers                                       fires due timers
    locked_commits                               results that are decided under their instance's lock
    turns                                        deliveries that wait for a contended instance
    lease                                        shows that this router lives
    ledger                                       what this router knows and has in hand
    endpoints                                    the handler services that it calls

Stateless: everything here may be lost at any point. May import `waystation_core`; never the API,
the CLI or the SDK.
"""
