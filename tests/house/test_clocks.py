"""Whose clock decides: the store's, which all processes share. Leases, due times and timers go by it in SQL, and
every draft is given it as its `now`: read under the lock, or as the store's last answer told it (`StoreClock`)."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

ENGINE = ("domain", "conversion", "core", "api", "router")
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}
# How long a process itself waits is none of the store's business: `time.monotonic` is everybody's.

OF_THE_PROCESS = {
    # Until when the process that calls waits for an answer, as told to the handler that it calls.
    "router/calls.py",
    "api/workflows/replays.py",
    # How long a JWT is still valid: its end is a time of its issuer's clock, and no server shares that.
    "core/identity/jwt_tokens.py",
    # Until when an endpoint is left alone, as reports show it.
    "router/endpoints/condition.py",
    # The timestamp that the broker's management page shows of a message.
    "core/broker/publisher.py",
    # Where a look at what was started lately begins, when the caller says nothing.
    "api/system/flow.py",
}


def _asked(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in CLOCKS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("datetime", "date", "time")
        ):
            yield ast.unparse(node)


def test_the_clock_of_a_process_decides_nothing() -> None:
    asking = {
        f"{part}/{file.relative_to(root)}"
        for part in ENGINE
        # As they are imported: mutants stand elsewhere.
        for root in importlib.import_module(f"waystation_{part}").__path__
        for file in Path(root).rglob("*.py")
        if list(_asked(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert asking == OF_THE_PROCESS
