"""Results that follow: what a test gives to tasks that answered `pending`, as `Client` does."""

from __future__ import annotations

from datetime import datetime, timedelta

from waystation_worker.errors import DeliveryNotFound, LimitExceeded, Unavailable, WrongState
from waystation_worker.result import TaskResult
from waystation_worker.testing import committing
from waystation_worker.testing.answers import Failed, read_result
from waystation_worker.testing.calling import token_of
from waystation_worker.testing.changes import LIMITS, Fault
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import Delivery


def complete(instance: Instance, token: str, result: TaskResult) -> None:
    """Gives the result. One that breaks a rule is refused, and the task stays as it is."""
    delivery = _pending(instance, token, fenced=False)
    answer = read_result(result._message(), instance.data)
    try:
        if answer.failure is not None:
            raise Fault(answer.failure.reason, answer.failure.message)
        committing.succeed(instance, delivery, answer, delivery.attempts + 1)
    except Fault as fault:
        if fault.reason in LIMITS:
            raise LimitExceeded(
                fault.message, reason=fault.reason, code="RESOURCE_EXHAUSTED"
            ) from None
        raise WrongState(fault.message, reason=fault.reason, code="FAILED_PRECONDITION") from None


def fail(instance: Instance, token: str, failure: Failed) -> None:
    """Fails the attempt."""
    delivery = _pending(instance, token, fenced=True)
    committing.fail(instance, delivery, failure, delivery.attempts + 1)


def extend(instance: Instance, token: str, extension: timedelta) -> datetime:
    """Gives more time; answers until when."""
    delivery = _pending(instance, token, fenced=True)
    delivery.due = instance.clock() + extension
    return delivery.due


def _pending(instance: Instance, token: str, *, fenced: bool) -> Delivery:
    """The delivery that waits. `fenced`: another attempt's token is none of its."""
    deliveries = [one for one in instance.deliveries() if _is_of(token, one, fenced=fenced)]
    delivery = deliveries[0] if deliveries else None
    if delivery is not None and delivery.state == "OPEN" and delivery.due <= instance.clock():
        raise Unavailable(f"{token} has not answered `pending` yet; try again", code="UNAVAILABLE")
    if delivery is None or delivery.state != "PENDING":
        tokens = [
            token_of(one.key, one.attempts + 1)
            for one in instance.deliveries()
            if one.state == "PENDING"
        ]
        raise DeliveryNotFound(
            f"no delivery of {instance.id} with the token {token} is pending; tokens that are: "
            f"{', '.join(tokens) or 'none'}",
            reason="DELIVERY_NOT_FOUND",
            code="NOT_FOUND",
        )
    if instance.treatment(delivery.event) != "DELIVER":
        instance.require_open()
    return delivery


def _is_of(token: str, delivery: Delivery, *, fenced: bool) -> bool:
    first = delivery.attempts + 1 if fenced else 1
    return any(token == token_of(delivery.key, n) for n in range(first, delivery.attempts + 2))
