"""TLS to RabbitMQ: whom `amqps://` trusts, and what is wrong if it does not."""

from __future__ import annotations

from pathlib import Path

import pika

from waystation_tls import BadTls, ClientMaterial, ClientTls, diagnose, python_context
from waystation_tls.clients import OF_BROKER
from waystation_tls.protocols import AMQP


def trusted(ca: Path | None) -> ClientMaterial:
    """Whom to trust: the authorities in the file, or those of this machine. Raises BadTls."""
    return ClientTls(on=True, ca=ca, words=OF_BROKER).read()


def ssl_options(ca: Path | None) -> pika.SSLOptions:
    """For a connection of pika, which checks the certificate and its name. Raises BadTls."""
    return pika.SSLOptions(python_context(trusted(ca)))


async def tls_faults(parameters: pika.URLParameters, ca: Path | None) -> list[str]:
    """What is wrong with TLS, if that is why there is no connection."""
    try:
        material = trusted(ca) if parameters.ssl_options is not None else None
    except BadTls as bad:
        return list(bad.faults)
    found = await diagnose(
        parameters.host, parameters.port, tls=material, words=OF_BROKER, protocol=AMQP
    )
    if found is None:
        return []
    return [
        f"RabbitMQ at {parameters.host}:{parameters.port} cannot be used ({found.reason}): {found.message}."
    ]
