"""A fault of the store or of the broker spends no attempt (S12)."""

from collections import defaultdict
from collections.abc import Iterator

from chaos.checks.evidence import Evidence, Violation

_OF_THE_ENVIRONMENT = (
    "postgres-",
    "rabbitmq-",
    "column-renamed",
    "table-locked",
    "idle-in-transaction",
)
_NO_RESULT = ("fails", "hangs", "rejects", "pending")
"""What a task answers that spends its attempt, or may."""


def only_tasks_spend_attempts(evidence: Evidence) -> Iterator[Violation]:
    """Where nothing was at fault but Postgres and RabbitMQ, each attempt after the first follows one that the
    task itself did not bring to a result. Says nothing of other runs: what ends a process or a connection in
    a call does spend an attempt."""
    kinds = {line["kind"] for line in evidence.faults if line["event"] == "injected"}
    if not all(kind.startswith(_OF_THE_ENVIRONMENT) for kind in kinds):
        return
    last: dict[tuple[str, str], int] = defaultdict(int)
    spent: dict[tuple[str, str], set[int]] = defaultdict(set)
    instances = {}
    for line in evidence.ledger:
        delivery = line["event"], line["task"]
        instances[delivery] = line["instance"]
        last[delivery] = max(last[delivery], line["attempt"])
        if line["answer"] in _NO_RESULT:
            spent[delivery].add(line["attempt"])
    for delivery, attempt in last.items():
        if attempt > len(spent[delivery]) + 1:
            event, task = delivery
            yield Violation(
                "S12",
                instances[delivery],
                f"attempt {attempt} of {task} for {event}, which spent {len(spent[delivery])} itself",
            )
