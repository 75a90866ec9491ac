"""Chaos: a whole system under seeded load and seeded faults, and the proof that no promise broke.

`python -m chaos` (`make chaos`) starts real processes on a private RabbitMQ and Postgres, every
link through a proxy, runs programs of load while two streams of faults go over it, and then checks
offline, from what clients and tasks saw and what the public API says, that nothing was lost,
nothing took effect twice and nothing is stuck. See docs/testing-under-faults.md.

Looks at the engine from outside only: must not import `waystation_core`, `waystation_api`,
`waystation_router`.
"""
