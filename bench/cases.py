"""What is measured: the cases of `python -m bench`."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.handlers import CLAIM_3, CLAIM_3_50MS, CLAIM_FAN, CLAIM_GROUP

WORKLOADS = {
    "claim-3": CLAIM_3,
    "claim-3-50ms": CLAIM_3_50MS,
    "claim-fan": CLAIM_FAN,
    "claim-group": CLAIM_GROUP,
}
OPEN_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    workload: str
    concurrency: int = 0
    """Callers of a closed loop; 0: an open loop."""
    rate: float = 0
    """Workflows that begin each second of an open loop."""
    clients: int = 1
    """Each with a connection of its own. Those of a closed loop are shared by its callers."""
    transport: str = "stream"
    """`stream`: by the SDK's client. `unary`: a RunWorkflow call for each workflow."""
    engine: str = "parts"
    """`parts`: API and routers are processes, with RabbitMQ. `secured`: the same with TLS, keys and signed calls.
    `traced`: parts, with spans of one workflow in a hundred. `embedded`: `waystation dev`."""
    routers: int = 1

    @property
    def load(self) -> str:
        """The case in words."""
        if self.rate:
            return f"open, {self.rate:g}/s, {_clients(self.clients)}"
        callers = f"{self.concurrency} caller{'s' * (self.concurrency != 1)}"
        return callers if self.clients == 1 else f"{callers}, {_clients(self.clients)}"

    @property
    def variant(self) -> str:
        """What differs from the default."""
        return ", ".join(
            word
            for word, named in (
                ("unary", self.transport != "stream"),
                (self.engine, self.engine != "parts"),
                (f"{self.routers} routers", self.routers != 1),
            )
            if named
        )

    @property
    def name(self) -> str:
        """Workload, load and variant."""
        return ", ".join(part for part in (self.workload, self.load, self.variant) if part)

    def options(self) -> dict[str, Any]:
        """The options of the load client."""
        return {
            "workflow_type": WORKLOADS[self.workload],
            "concurrency": self.concurrency,
            "rate": self.rate,
            "clients": self.clients,
            "unary": self.transport == "unary",
        }


def _clients(number: int) -> str:
    return f"{number} client{'s' * (number != 1)}"


STANDARD = (
    *(Case("claim-3", at) for at in (1, 8, 64, 256)),
    Case("claim-3", rate=150, clients=OPEN_CLIENTS),
    Case("claim-3", 64, clients=64),
    Case("claim-3", 64, transport="unary"),
    Case("claim-group", 64),
    Case("claim-fan", 64),
    Case("claim-3", 1, engine="embedded"),
    Case("claim-3", 64, engine="embedded"),
    Case("claim-3", 64, routers=2),
)
"""What is measured if nothing is chosen."""


def chosen(
    *,
    workloads: Sequence[str],
    concurrencies: Sequence[int],
    rates: Sequence[float],
    clients: int | None,
    transports: Sequence[str],
    engines: Sequence[str],
    routers: Sequence[int],
) -> list[Case]:
    """Every combination of what was chosen; where nothing was: claim-3, 64 callers of one client, stream, parts,
    one router. Nothing at all: the standard cases. An embedded engine has one router, whatever was chosen."""
    if not any((workloads, concurrencies, rates, clients, transports, engines, routers)):
        return [*STANDARD]
    loads = [(at, 0.0, min(clients or 1, at)) for at in concurrencies or ([] if rates else [64])]
    loads += [(0, rate, clients or OPEN_CLIENTS) for rate in rates]
    combined = (
        Case(workload, at, rate, own, transport, engine, 1 if engine == "embedded" else number)
        for workload, (at, rate, own), transport, engine, number in itertools.product(
            workloads or ["claim-3"],
            loads,
            transports or ["stream"],
            engines or ["parts"],
            routers or [1],
        )
    )
    return [*dict.fromkeys(combined)]
