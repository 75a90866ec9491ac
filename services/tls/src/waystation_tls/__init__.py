"""TLS as every process of Waystation uses it: settings, files that may be replaced at any time, credentials for
gRPC, and why a connection fails.

Servers and the worker SDK share it, so it knows neither. It must not import any other package of Waystation.
"""

from waystation_tls.clients import ClientCredentials, ClientMaterial, ClientTls, Words
from waystation_tls.diagnosis import Diagnosis, Problem, diagnose, python_context
from waystation_tls.exposure import is_loopback, open_to_strangers
from waystation_tls.file_stamp import stamp_of
from waystation_tls.files import (
    LACKING,
    Authorities,
    BadTls,
    Ending,
    Identity,
    can_be_read,
)
from waystation_tls.reminder import EndReminder, ending_soon
from waystation_tls.servers import ServerCredentials, ServerMaterial, ServerTls
from waystation_tls.watched import LOOK_SECONDS, News

__all__ = [
    "LACKING",
    "LOOK_SECONDS",
    "Authorities",
    "BadTls",
    "ClientCredentials",
    "ClientMaterial",
    "ClientTls",
    "Diagnosis",
    "EndReminder",
    "Ending",
    "Identity",
    "News",
    "Problem",
    "ServerCredentials",
    "ServerMaterial",
    "ServerTls",
    "Words",
    "can_be_read",
    "diagnose",
    "ending_soon",
    "is_loopback",
    "open_to_strangers",
    "python_context",
    "stamp_of",
]
