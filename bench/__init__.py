"""Measures Waystation as its users run it: real RabbitMQ, real Postgres, every part a process.

    __main__    the command line: `python -m bench`, or `make bench`
    cases       what is measured
    system      starts the servers and the parts, and knows which process belongs to which group
    handlers    the handler service under load
    load        the load client, a process of its own
    loops       what begins the workflows: a closed or an open loop
    window      the seconds in which they are counted
    cpu         CPU time of process groups, from /proc
    sampler     a profiler inside each process, for `--profile`; `stages` says what belongs together
    profile     the table of `--profile`
    report      the results of the rounds: the table and `results/latest.json`
    peers       another engine under the same load
    broker      a script of its own: throughput of the broker adapter alone
    timers      a script of its own: how late delayed events are

Must not import the engine's insides (`broker` alone does): it measures what users reach.
"""
