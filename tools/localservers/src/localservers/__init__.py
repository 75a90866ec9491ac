"""Private servers on this machine: RabbitMQ and Postgres, each with ports and data of its own.

For tests, benchmarks and `make up`. Knows nothing of Waystation: must not import any part of it.
"""
