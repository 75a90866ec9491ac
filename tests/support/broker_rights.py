"""Users of RabbitMQ with the rights that docs/security.md gives them: tests run with exactly these."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

from localservers.rabbitmq import RabbitMQServer

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_LINE = re.compile(
    r"^rabbitmqctl set_permissions -p waystation waystation_(\w+) \\\n"
    r"  '([^']*)' \\\n  '([^']*)' \\\n  '([^']*)'$",
    re.MULTILINE,
)
_PASSWORD = "tested"


@cache
def rights() -> dict[str, dict[str, str]]:
    """Of each role, what the page lets it configure, write and read."""
    return {
        role: {"configure": configure, "write": write, "read": read}
        for role, configure, write, read in _LINE.findall(PAGE.read_text())
    }


def as_role(server: RabbitMQServer, amqp_url: str, role: str) -> str:
    """The same virtual host for the user of a role (`api`, `router`)."""
    vhost, user = amqp_url.rsplit("/", 1)[1], f"waystation_{role}"
    server.api(f"users/{user}", method="PUT", body={"password": _PASSWORD, "tags": ""})
    server.api(f"permissions/{quote(vhost)}/{user}", method="PUT", body=rights()[role])
    return f"amqp://{user}:{_PASSWORD}@127.0.0.1:{server.port}/{vhost}"
