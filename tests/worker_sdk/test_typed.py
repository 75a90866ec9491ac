"""Pydantic models where a team wants them: read with JSON's rules, refused with the fields named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from worker_sdk.fakes import delivery

from waystation.v1 import task_handler_service_pb2
from waystation_worker import HandlerService, TaskContext
from waystation_worker.values import read_struct, read_value


class Line(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    price: Decimal = Field(gt=0)


class Order(BaseModel):
    customer: str
    placed_on: date = Field(alias="placedOn")
    currency: Literal["EUR", "USD"] = "EUR"
    lines: list[Line]


@dataclass
class Address:
    street: str
    number: int


FITTING = {
    "customer": "Ada",
    "placedOn": "2026-01-31",
    "lines": [{"name": "ink", "price": "2.50"}],
}


async def answer(
    task: Any, data: dict[str, Any] | None = None, payload: dict[str, Any] | None = None
) -> task_handler_service_pb2.HandleEventResponse:
    service = HandlerService("orders")
    service.task("t", events=["claim.processed"], workflow_types=["order"])(task)
    return await service.answer(delivery("t", data, payload))


async def test_models_go_in_and_out_of_every_place_as_json() -> None:
    def task(ctx: TaskContext) -> None:
        order = ctx.event.payload_as(Order)
        assert order.placed_on == date(2026, 1, 31)
        assert order.lines[0].price == Decimal("2.50")
        assert ctx.data_as(Address, "/to/0") == Address("Dorotheenstr.", 5)
        ctx.data["order"] = order
        ctx.data.append("lines", order.lines[0])
        ctx.emit("order.read", order)
        ctx.emit("order.kept", {"order": order})
        ctx.complete(order)

    done = await answer(task, {"to": [{"street": "Dorotheenstr.", "number": 5}]}, FITTING)
    assert done.failure.message == ""
    read, kept = done.result.events
    whole = {**FITTING, "currency": "EUR"}
    assert read_struct(read.payload) == read_struct(done.result.complete.output) == whole
    assert read_struct(kept.payload) == {"order": whole}
    stored, appended = done.result.operations.items
    assert read_value(stored.set) == whole
    assert read_value(appended.append) == FITTING["lines"][0]
    assert list(done.result.reads.paths) == ["/to"]


async def test_an_invalid_value_is_rejected_with_its_fields_and_without_its_values() -> None:
    def of_payload(ctx: TaskContext) -> None:
        ctx.event.payload_as(Order)

    secret = {"customer": {"a/b": "s3cret"}, "currency": "s3cret", "lines": [{"price": "-1"}]}
    failure = (await answer(of_payload, payload=secret)).failure
    assert (failure.reason, failure.permanent) == ("PAYLOAD_INVALID", True)
    assert failure.message.startswith("payload does not fit Order: /customer: ")
    assert set(read_struct(failure.metadata)["fields"]) == {
        "/customer",
        "/placedOn",
        "/currency",
        "/lines/0/name",
        "/lines/0/price",
    }
    assert "s3cret" not in str(failure)

    def of_data(ctx: TaskContext) -> None:
        ctx.data_as(Address, "/nowhere")

    failure = (await answer(of_data, {"a": 1})).failure
    assert (failure.reason, failure.permanent) == ("DATA_INVALID", True)
    assert failure.message.startswith("data/nowhere does not fit Address: as a whole: ")


async def test_a_model_that_json_cannot_hold_is_an_error_with_its_place() -> None:
    class Big(BaseModel):
        number: int

    def task(ctx: TaskContext) -> None:
        with pytest.raises(ValueError, match="at payload/number: integers of 2"):
            ctx.emit("x", Big(number=2**60))
        with pytest.raises(TypeError, match="at payload: expected an object, found int"):
            ctx.emit("x", 7)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is not a JSON value"):
            ctx.data["x"] = Big
        ctx.emit("fine")

    assert [event.event_type for event in (await answer(task)).result.events] == ["fine"]


def test_the_package_does_without_pydantic_and_says_when_it_cannot() -> None:
    program = """
import sys
sys.modules["pydantic"] = sys.modules["pytest"] = None
import waystation_worker
try:
    from waystation_worker.typed import read_as
except ImportError as error:
    assert "waystation-worker[pydantic]" in str(error), error
else:
    raise AssertionError("it was imported")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
