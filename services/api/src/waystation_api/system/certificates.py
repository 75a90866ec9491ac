"""The certificates of this server, as its status tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from waystation.v1 import system_pb2
from waystation_tls import ClientCredentials, ServerCredentials

Certificates = Callable[[], Sequence[system_pb2.CertificateStatus]]
"""Called for each status."""

MOST_TROUBLE = 1_000
"""Characters."""


def certificates_of(
    *parts: ServerCredentials | ClientCredentials | None,
) -> list[system_pb2.CertificateStatus]:
    """One for each file, the first to end first. Files of one part are replaced together: what is wrong is told with
    the first of them."""
    told: dict[str, system_pb2.CertificateStatus] = {}
    for part in parts:
        for number, ending in enumerate(part.material.endings if part is not None else ()):
            # The port and calls may share a file.
            status = told.setdefault(
                ending.setting, system_pb2.CertificateStatus(setting=ending.setting)
            )
            status.ends_at.FromDatetime(ending.ends_at)
            if part is not None and part.trouble and not number:
                status.trouble = part.trouble[:MOST_TROUBLE]
    return sorted(told.values(), key=lambda each: each.ends_at.ToNanoseconds())
