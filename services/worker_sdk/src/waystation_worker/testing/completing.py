"""Results that follow: what a test gives to tasks that answered `pending`, as `Client` does."""

from __future__ import annotations

from datetime import datetime, timedelta

from waystation_worker.errors import DeliveryNotFound, LimitExceeded, Unavailable, WrongState
from waystation_worker.result import TaskResult
from waystation_worker.testing import committing
from waystation_worker.testing.answers import Failed, read_answer
from waystation_worker.testing.changes import LIMITS, Fault
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import Delivery


def complete(instance: Instance, key: str, result: TaskResult) -> None:
    """Gives the result. One that breaks a rule is refused, and the task stays as it is."""
    delivery = _pending(instance, key)
    answer = read_answer(result._answer(), instance.data)
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


def fail(instance: Instance, key: str, failure: Failed) -> None:
    """Fails the attempt."""
    delivery = _pending(instance, key)
    committing.fail(instance, delivery, failure, delivery.attempts + 1)


def extend(instance: Instance, key: str, extension: timedelta) -> datetime:
    """Gives more time; answers until when."""
    delivery = _pending(instance, key)
    delivery.due = instance.clock() + extension
    return delivery.due


def _pending(instance: Instance, key: str) -> Delivery:
    delivery = next((one for one in instance.deliveries() if one.key == key), None)
    if delivery is not None and delivery.state == "OPEN" and delivery.due <= instance.clock():
        raise Unavailable(f"{key} has not answered `pending` yet; try again", code="UNAVAILABLE")
    if delivery is None or delivery.state != "PENDING":
        keys = [one.key for one in instance.deliveries() if one.state == "PENDING"]
        raise DeliveryNotFound(
            f"no task of {instance.id} with the key {key} is pending; keys that are: "
            f"{', '.join(keys) or 'none'}",
            reason="DELIVERY_NOT_FOUND",
            code="NOT_FOUND",
        )
    if instance.treatment(delivery.event) != "DELIVER":
        instance.require_open()
    return delivery
