"""A Postgres and a RabbitMQ that a program is given in place of starting its own."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class GivenServers:
    """An empty database and an empty virtual host, which nobody else uses meanwhile."""

    database_url: str
    broker_url: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--database-url` and `--broker-url`, which `from_options` reads."""
    parser.add_argument(
        "--database-url", help="an empty database to use; default: its own Postgres"
    )
    parser.add_argument("--broker-url", help="an empty virtual host to use; default: its own node")


def from_options(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> GivenServers | None:
    """What the options name; None where the program starts its own. One without the other is refused."""
    if (options.database_url is None) != (options.broker_url is None):
        parser.error("--database-url and --broker-url go together")
    if options.database_url is None:
        return None
    return GivenServers(options.database_url, options.broker_url)
