"""The port at which Prometheus reads the metrics: HTTP, served by a thread of its own, so that neither a slow reader
nor a large answer delays the event loop."""

from __future__ import annotations

import errno
from collections.abc import Callable

import structlog
from prometheus_client import start_http_server

from waystation_core.metrics.meters import Meters
from waystation_core.rpc.server import PortTaken
from waystation_core.rpc.settings import BadSettings, Settings, variable

log = structlog.get_logger(__name__)


def serve_metrics(settings: Settings, meters: Meters) -> Callable[[], None]:
    """Serves /metrics if the settings name a port; returns what ends it. Raises PortTaken, and BadSettings for a host
    that is not this machine's."""
    if settings.metrics_port is None:
        return lambda: None
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host.strip("[]"), meters.registry)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Port {port} on {host} is in use. Stop the process that uses it, or set "
                f"{variable('metrics_port')} to another port."
            ) from None
        raise BadSettings(
            [f"{variable('metrics_host')}={host} cannot be used to listen: {error.strerror}."]
        ) from None
    log.info("metrics_served", address=f"{host}:{server.server_port}")

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
