"""Private servers on this machine: RabbitMQ and Postgres, each with ports and data of its own, and
a TCP proxy (`proxy.TcpProxy`) that makes the link between two processes slow, silent or broken.

For tests, benchmarks and `make up`. Knows nothing of Waystation: must not import any part of it.
"""
