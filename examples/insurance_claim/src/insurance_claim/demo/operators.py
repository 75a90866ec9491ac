"""What an operator does about dead letters."""

from typing import Any

from waystation.v1 import dead_letter_pb2
from waystation_worker import Client


class Operator:
    """Looks after dead letters, with the rights of a client."""

    def __init__(self, client: Client) -> None:
        self._letters = client.dead_letters

    async def dead_letter_of(self, instance_id: str) -> dead_letter_pb2.DeadLetter | None:
        """Gives the newest open dead letter of an instance, or None."""
        async for letter in self._letters.list(workflow_instance_ids=[instance_id], limit=1):
            return letter.message
        return None

    async def retry(self, dead_letter_id: str, payload: dict[str, Any]) -> None:
        """Has a dead letter tried again with this payload instead of its own."""
        await self._letters.retry(dead_letter_id, payload, request_id=f"rescue-{dead_letter_id}")
