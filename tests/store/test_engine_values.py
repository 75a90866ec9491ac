"""Values come back from Postgres as they went in, bit for bit (P8)."""

from __future__ import annotations

import random
from typing import Any

import orjson
from store.instances import Engine, task

from waystation_domain.model import NewEvent
from waystation_domain.operations import Operation, apply, canonical, from_json
from waystation_domain.outcomes import Completion, Reply

A = task("a")

NUMBERS = [
    0.1,
    1 / 3,
    5e-324,
    2**53 - 1,
    -(2**53) + 1,
    2.0**51 + 0.5,
    123456789.12345678,
    2.2250738585072014e-308,
    canonical(-0.0),
    canonical(1e15),
    *(canonical(random.Random(7).uniform(-1e9, 1e9)) for _ in range(50)),
]
TEXTS = ["", "é", "\U0001f600", "\u2028", '"\\/', "\x01\x1f", "null", "{}", "a" * 5000]


async def test_values_come_back_bit_for_bit(each_engine: Engine) -> None:
    """Through the instance, its events and its history; changed on the way as well."""
    data = {
        "numbers": NUMBERS,
        "texts": TEXTS,
        "keys": {text[:50]: at for at, text in enumerate(TEXTS)},
        "empty": [{}, [], None, True, False, ""],
        "sum": 0.1,
    }
    instance, event = await each_engine.started(data)
    stored = await each_engine.store.load([event.event_id])
    assert orjson.dumps(stored.instances[instance.key].data) == orjson.dumps(data)
    assert orjson.dumps(stored.events[event.event_id][0].payload) == orjson.dumps(data)

    change = (
        *(Operation("/sum", "increment", number) for number in NUMBERS if abs(number) < 1e14),
        *(Operation("/copies", "append", number) for number in NUMBERS),
        Operation("/top", "maximum", 1e15),
        Operation("/null", "set", None),
    )
    expected = apply(data, change)
    reply = Reply((NewEvent("next", data),), change, Completion(data))
    commit = await each_engine.handle(event, A, reply)
    found = await each_engine.instance(instance.key)
    assert orjson.dumps(found.data) == orjson.dumps(expected)
    assert orjson.dumps(found.output) == orjson.dumps(data)
    raised = await each_engine.store.load([commit.raised[0].event_id])
    assert orjson.dumps(next(iter(raised.events.values()))[0].payload) == orjson.dumps(data)

    folded: dict[str, Any] = {}
    seen = []
    for one in (await each_engine.queries.history(instance.key)).entries:
        folded = apply(folded, [from_json(operation) for operation in one.entry.change or ()])
        seen.append(orjson.dumps(folded))
    assert seen == [orjson.dumps(data), orjson.dumps(expected)]
