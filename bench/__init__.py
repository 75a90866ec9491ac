"""Measures Waystation as its users run it: real RabbitMQ, real Postgres, every part a process.

    __main__    the command line: `python -m bench`, or `make bench`
    system      starts the servers and the parts, and knows which process belongs to which group
    handlers    the handler service under load
    load        the load client, a process of its own
    cpu         CPU time of process groups, from /proc
    report      what the repeats come to: the table and `results/latest.json`
    broker      a script of its own: throughput of the broker adapter alone

Must not import the engine's insides (`broker` alone does): it measures what users reach.
"""
