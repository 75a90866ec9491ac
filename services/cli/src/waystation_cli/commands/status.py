"""status: how the installation as a whole is doing."""

from __future__ import annotations

from waystation.v1.system_service_pb2 import GetSystemStatusRequest, GetSystemStatusResponse
from waystation_cli.arguments import Utc
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import message_json, overview


def status(utc: Utc = False, address: Address = DEFAULT_ADDRESS, as_json: AsJson = False) -> None:
    """Show routers, queues, backlog and handlers."""
    with connected(address, as_json) as api:
        response: GetSystemStatusResponse = api.system.GetSystemStatus(
            GetSystemStatusRequest(), timeout=CALL_SECONDS
        )
    if as_json:
        message_json.print_message(response)
    else:
        overview.print_status(response, address)
