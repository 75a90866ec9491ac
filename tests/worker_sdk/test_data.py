"""ctx.data: which operations and reads a task's code turns into, case by case."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from waystation_worker.data import DataObject, Recorder

Body = Callable[[DataObject], Any]


def noted(data: dict[str, Any], body: Body) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The operations and the reads of a piece of code."""
    recorder = Recorder(copy.deepcopy(data))
    body(recorder.root)
    operations = [
        (op.kind, op.path) if op.kind == "remove" else (op.kind, op.path, op.value)
        for op in recorder.operations()
    ]
    return operations, sorted(recorder.read_paths())


def join(data: DataObject) -> None:
    """The naive join: mark mine as done; if all are done, go on."""
    data["tasks"]["mine"] = "done"
    if all(state == "done" for state in data["tasks"].values()):
        data["joined"] = True


def held_on_to(data: DataObject) -> None:
    old = data["a"]
    data["a"] = 5
    old["x"] = 1


def list_set_then_appended(data: DataObject) -> None:
    data["l"] = [1]
    data.append("l", 2)
    data["l"].append(3)


def mutated_after_assignment(data: DataObject) -> None:
    data["new"] = {"deep": {}}
    data["new"]["deep"]["list"] = []
    data["new"]["deep"]["list"].append({"a": 1})
    data["new"]["deep"]["list"][0]["a"] += 1


def kept_view_of_what_was_assigned(data: DataObject) -> None:
    data["new"] = {}
    mine = data["new"]
    mine["x"] = 1
    data["new"] = {"y": 2}
    mine["z"] = 3


CASES: list[tuple[str, dict[str, Any], Body, list[tuple[Any, ...]], list[str]]] = [
    ("nothing", {"a": 1}, lambda d: None, [], []),
    ("leaf", {"a": {"b": 1}}, lambda d: d["a"]["b"], [], ["/a/b"]),
    ("missing", {"a": {}}, lambda d: d["a"].get("b"), [], ["/a/b"]),
    ("in", {"a": {}}, lambda d: "b" in d, [], ["/b"]),
    ("container alone", {"a": {"b": 1}}, lambda d: d["a"], [], ["/a"]),
    ("len", {"a": {"b": 1}}, lambda d: len(d["a"]), [], ["/a"]),
    ("iteration", {"a": {"b": 1}}, lambda d: list(d["a"].items()), [], ["/a"]),
    ("repr", {"a": {"b": 1}}, repr, [], [""]),
    ("copy", {"a": {"b": 1}}, lambda d: d.to_dict(), [], [""]),
    ("list item", {"l": [{"x": 1}]}, lambda d: d["l"][0]["x"], [], ["/l"]),
    ("escaped", {"a/b~": 1}, lambda d: d["a/b~"], [], ["/a~1b~0"]),
    ("deep set", {"a": {}}, lambda d: d["a"].update(b=1), [("set", "/a/b", 1)], []),
    (
        "twice",
        {},
        lambda d: (d.update(a=1), d.update(a=2)),
        [("set", "/a", 2)],
        [],
    ),
    ("delete", {"a": 1}, lambda d: d.pop("a"), [("remove", "/a")], ["/a"]),
    ("held view of a replaced value", {"a": {}}, held_on_to, [("set", "/a", 5)], ["/a"]),
    ("list set, then appended", {}, list_set_then_appended, [("set", "/l", [1, 2, 3])], []),
    (
        "assigned, then changed inside",
        {},
        mutated_after_assignment,
        [("set", "/new", {"deep": {"list": [{"a": 2}]}})],
        ["/new/deep/list"],
    ),
    (
        "assigned twice",
        {},
        kept_view_of_what_was_assigned,
        [("set", "/new", {"y": 2})],
        [],
    ),
    ("append", {"l": []}, lambda d: d["l"].append(1), [("append", "/l", 1)], []),
    (
        "extend in place",
        {"l": [1]},
        lambda d: d["l"].__iadd__([2, 3]),
        [("append", "/l", 2), ("append", "/l", 3)],
        [],
    ),
    (
        "append, then read",
        {"l": []},
        lambda d: (d["l"].append(1), len(d["l"])),
        [("append", "/l", 1)],
        ["/l"],
    ),
    (
        "append, then moved",
        {"l": [1]},
        lambda d: (d["l"].append(2), d["l"].reverse()),
        [("set", "/l", [2, 1])],
        ["/l"],
    ),
    (
        "object in a list",
        {"l": [{"x": 1}]},
        lambda d: d["l"][0].update(x=2),
        [("set", "/l", [{"x": 2}])],
        ["/l"],
    ),
    (
        "commuting, parents missing",
        {},
        lambda d: (d.increment("/s/n", 2), d.maximum("/s/m", 3.5), d.add_to_set("/s/t", "x")),
        [("increment", "/s/n", 2), ("maximum", "/s/m", 3.5), ("add_to_set", "/s/t", "x")],
        [],
    ),
    (
        "commuting, then read",
        {"n": 1},
        lambda d: (d.increment("n"), d["n"]),
        [("increment", "/n", 1)],
        ["/n"],
    ),
    ("clear", {"a": {"b": 1}}, lambda d: d["a"].clear(), [("set", "/a", {})], []),
    ("clear all", {"a": 1}, lambda d: d.clear(), [("set", "", {})], []),
    (
        "naive join, not all",
        {"tasks": {"mine": "open", "other": "open"}},
        join,
        [("set", "/tasks/mine", "done")],
        ["/tasks"],
    ),
    (
        "naive join, last",
        {"tasks": {"mine": "open", "other": "done"}},
        join,
        [("set", "/tasks/mine", "done"), ("set", "/joined", True)],
        ["/tasks"],
    ),
]


@pytest.mark.parametrize(
    ("data", "body", "operations", "reads"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_code_becomes_operations_and_reads(
    data: dict[str, Any], body: Body, operations: list[tuple[Any, ...]], reads: list[str]
) -> None:
    assert noted(data, body) == (operations, reads)


def test_plus_equals_on_members_stores_nothing_twice() -> None:
    def body(data: DataObject) -> None:
        data["l"] += [1]
        data["o"] |= {"k": 2}

    operations, reads = noted({"l": [], "o": {}}, body)
    assert operations == [("append", "/l", 1), ("set", "/o/k", 2)]
    assert reads == []


def test_what_is_assigned_is_a_copy() -> None:
    recorder = Recorder({"a": {"x": 1}})
    mine: dict[str, Any] = {"n": 1}
    recorder.root["mine"] = mine
    recorder.root["twin"] = recorder.root["a"]
    assert recorder.read_paths() == ["/a"]
    mine["n"] = 2
    recorder.root["twin"]["x"] = 2
    assert recorder.root == {"a": {"x": 1}, "mine": {"n": 1}, "twin": {"x": 2}}
    assert type(recorder.root.to_dict()["twin"]) is dict


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def test_what_json_can_hold_is_made_plain() -> None:
    recorder = Recorder({})
    recorder.root["v"] = {"c": Colour.RED, "n": Level.HIGH, "t": (1, 2), "m": recorder.root}
    stored = recorder.root.to_dict()["v"]
    assert stored == {"c": "red", "n": 3, "t": [1, 2], "m": {}}
    assert [type(stored[key]) for key in "cnt"] == [str, int, list]


DEEP: list[Any] = []
for _ in range(20):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ({"when": [datetime.now(UTC)]}, TypeError, "at /a~1b/when/0: datetime"),
        ({"n": float("nan")}, ValueError, "at /a~1b/n: nan"),
        (2**53, ValueError, "at /a~1b: integers of 2^53 or more"),
        ({"n": [-1e300]}, ValueError, "at /a~1b/n/0: integers of 2^53 or more"),
        ({"a": {"$waystation.int": "1"}}, ValueError, "names that begin with '$waystation.' are"),
        ({"t": "a\0"}, ValueError, "at /a~1b/t: the text contains a NUL"),
        ("\ud800", ValueError, "half a surrogate"),
        ({1: 2}, TypeError, "at /a~1b: keys must be str, not 1"),
        ({1, 2}, TypeError, "set is not a JSON value; use sorted"),
        (DEEP, ValueError, "nested deeper than 16"),
    ],
    ids=[
        "datetime",
        "nan",
        "large",
        "larger",
        "reserved",
        "nul",
        "surrogate",
        "key",
        "set",
        "deep",
    ],
)
def test_what_json_cannot_hold_is_refused_where_it_is_assigned(
    value: Any, error: type[Exception], text: str
) -> None:
    recorder = Recorder({"a/b": 1})
    for assign in (
        lambda: recorder.root.__setitem__("a/b", value),
        lambda: recorder.root.append("/l/a~1b", value),
    ):
        with pytest.raises(error) as caught:
            assign()
        assert text.replace("/a~1b", "") in str(caught.value).replace("/l", "").replace("/a~1b", "")
    assert list(recorder.operations()) == []
    assert recorder.root == {"a/b": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.increment("/text"),
        lambda d: d.increment("/text/below"),
        lambda d: d.append("/text", 1),
        lambda d: d.maximum("/flag", 1),
    ],
)
def test_a_commuting_change_of_something_else_names_the_place(change: Body) -> None:
    recorder = Recorder({"text": "x", "flag": True})
    with pytest.raises(TypeError, match=r"at /(text|flag): a (text|bool), not an? "):
        change(recorder.root)
    assert recorder.read_paths() in (["/text"], ["/flag"])
