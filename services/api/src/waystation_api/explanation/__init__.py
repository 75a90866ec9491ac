"""ExplainWorkflow: what an instance waits for, since when, and who or what can unblock it.

explain       the pure function from facts to blockers
blocker       one blocker
deliveries    open deliveries and dead letters
events        events without tasks, and idle instances
timers        blockers by the clock and by count
routers       no router takes the event
endpoints     nobody can be called for a delivery
"""
