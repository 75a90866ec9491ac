"""The router: takes announced events, calls the tasks that handle them, commits what they answer.

    intake -> calls -> committer -> relay        the fast way
    sweeper                                      what is due, parked or lost
    claims -> calls                              deliveries off the fast way, taken in hand
    reconciler                                   what the database says is in hand, compared
    timers                                       what is due at a time
    locked_commits                               results that are decided under their instance's lock
    turns                                        who waits for an instance that many contend for
    lease                                        this router's sign of life
    ledger                                       what this router knows and has under way
    endpoints                                    the handler services it calls

Stateless: everything here may be lost at any point. May import `waystation_core`; never the API,
the CLI or the SDK.
"""
