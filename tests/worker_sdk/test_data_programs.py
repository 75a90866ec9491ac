"""ctx.data against a plain dict: random programs, run on both.

Three promises: the program sees what a dict would show; the operations sent do to the original what
the program did to its dict; and the paths sent as read or written are enough: where only other
places differ, the program sees the same and its operations still do what it would have done there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from google.protobuf import struct_pb2
from hypothesis import assume, given
from hypothesis import strategies as st

from waystation.v1 import operation_pb2
from waystation_worker.data import Recorder
from waystation_worker.values import (
    canonical,
    equal,
    parse_pointer,
    read_struct,
    read_value,
    write_struct,
)

Step = tuple[str, int, tuple[Any, ...], Any, Any]

# Few, so that steps meet; the odd one needs escaping in pointers.
KEYS = st.sampled_from(["a", "b", "c/~"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.5, -1.25, 1e15]),
    st.sampled_from(["", "x", "ü", "long text"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=3)
# With an object and a list in places that the programs go to.
DATA = st.fixed_dictionaries({"a": OBJECTS, "b": st.lists(VALUES, min_size=1, max_size=3)})
PATHS = st.sampled_from(
    [(), (), ("a",), ("a",), ("b",), ("b",), ("b", 0), ("a", "a"), ("a", "b"), ("c/~", "a")]
)


def applied(data: dict[str, Any], operations: operation_pb2.OperationList) -> dict[str, Any]:
    """What operation.proto says about a sequence of operations, as plainly as possible."""
    root: dict[str, Any] = {"": copy.deepcopy(data)}
    for operation in operations.items:
        kind = operation.WhichOneof("kind")
        tokens = parse_pointer(operation.path)
        holder: Any = root
        for token in ["", *tokens][:-1]:
            if isinstance(holder, list):
                holder = holder[int(token)]
            elif kind == "remove" and token not in holder:
                break
            else:
                holder = holder.setdefault(token, {})
        else:
            assert isinstance(holder, dict), "the SDK stores lists as a whole"
            key = tokens[-1] if tokens else ""
            if kind == "set":
                holder[key] = read_value(operation.set)
            elif kind == "remove":
                holder.pop(key, None)
            elif kind == "increment":
                holder[key] = canonical(float(holder.get(key, 0)) + operation.increment)
            elif kind == "maximum":
                old = holder.get(key, operation.maximum)
                holder[key] = canonical(max(float(old), operation.maximum))
            elif kind == "append":
                holder.setdefault(key, []).append(read_value(operation.append))
            else:
                value = read_value(operation.add_to_set)
                items = holder.setdefault(key, [])
                if not any(equal(value, item) for item in items):
                    items.append(value)
    result: dict[str, Any] = root[""]
    return result


def plain(value: Any) -> Any:
    """What a program sees, as a value of its own."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return copy.deepcopy(value)


def kind_of(value: Any) -> str:
    if isinstance(value, MutableMapping):
        return "object"
    return "list" if isinstance(value, MutableSequence) else "scalar"


def do_increment(there: Any, key: str, value: Any) -> None:
    by = value if isinstance(value, int) and not isinstance(value, bool) else 1
    if isinstance(there, dict):
        old = there.get(key, 0)
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            raise TypeError
        there[key] = canonical(float(old) + by)
    else:
        there.increment(key if key[:1] != "/" else "/" + key, by)


def do_maximum(there: Any, key: str, value: Any) -> None:
    to = value if isinstance(value, int) and not isinstance(value, bool) else 1
    if isinstance(there, dict):
        old = there.get(key, to)
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            raise TypeError
        there[key] = max(old, to)
    else:
        there.maximum(key, to)


def do_append(there: Any, key: str, value: Any) -> None:
    if isinstance(there, dict):
        if not isinstance(there.get(key, []), list):
            raise TypeError
        there.setdefault(key, []).append(copy.deepcopy(value))
    else:
        there.append(key, value)


def do_add_to_set(there: Any, key: str, value: Any) -> None:
    if isinstance(there, dict):
        if not isinstance(there.get(key, []), list):
            raise TypeError
        items = there.setdefault(key, [])
        if not any(equal(value, item) for item in items):
            items.append(copy.deepcopy(value))
    else:
        there.add_to_set(key, value)


def do_set(there: Any, key: Any, value: Any) -> None:
    there[key] = copy.deepcopy(value)


def do_delete(there: Any, key: Any, _: Any) -> None:
    del there[key]


def do_fill(there: Any, key: Any, value: Any) -> None:
    there[key] = {}
    there[key]["x"] = copy.deepcopy(value)
    there[key].setdefault("y", []).append(1)


def do_plus_equals(there: Any, key: Any, value: Any) -> None:
    there[key] += [copy.deepcopy(value)]


def do_or_equals(there: Any, key: Any, value: Any) -> None:
    there[key] |= {"z": copy.deepcopy(value)}


OBJECT_STEPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "get": lambda there, key, _: plain(there.get(key)),
    "has": lambda there, key, _: key in there,
    "kind": lambda there, key, _: kind_of(there[key]),
    "missing": lambda there, key, _: there.get(key) is None,
    "len": lambda there, *_: len(there),
    "truth": lambda there, *_: bool(there),
    "keys": lambda there, *_: sorted(there),
    "items": lambda there, *_: sorted((key, repr(plain(v))) for key, v in there.items()),
    "equal": lambda there, _, value: there == value,
    "set": do_set,
    "delete": do_delete,
    "fill": do_fill,
    "plus": do_plus_equals,
    "or": do_or_equals,
    "pop": lambda there, key, _: plain(there.pop(key)),
    "pop_default": lambda there, key, _: plain(there.pop(key, None)),
    "setdefault": lambda there, key, value: plain(there.setdefault(key, copy.deepcopy(value))),
    "update": lambda there, key, value: there.update({key: copy.deepcopy(value), "u": 1}),
    "clear": lambda there, *_: there.clear(),
    "increment": do_increment,
    "maximum": do_maximum,
    "append": do_append,
    "add_to_set": do_add_to_set,
}
LIST_STEPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "item": lambda there, index, _: plain(there[index]),
    "len": lambda there, *_: len(there),
    "all": lambda there, *_: plain(list(there)),
    "slice": lambda there, *_: plain(there[1:]),
    "has": lambda there, _, value: value in there,
    "set": do_set,
    "delete": do_delete,
    "set_slice": lambda there, _, value: do_set(there, slice(0, 1), [value]),
    "push": lambda there, _, value: there.append(copy.deepcopy(value)),
    "extend": lambda there, _, value: there.extend([copy.deepcopy(value), 2]),
    "insert": lambda there, index, value: there.insert(index, copy.deepcopy(value)),
    "pop": lambda there, index, _: plain(there.pop(index)),
    "remove": lambda there, _, value: there.remove(value),
    "reverse": lambda there, *_: there.reverse(),
    "sort": lambda there, *_: there.sort(key=repr),
    "clear": lambda there, *_: there.clear(),
}

ORIGINS = st.sampled_from([0, 0, 0, 1, 2, 3])
STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(OBJECT_STEPS)), ORIGINS, PATHS, KEYS, VALUES),
    st.tuples(st.sampled_from(sorted(LIST_STEPS)), ORIGINS, PATHS, st.integers(-2, 2), VALUES),
)


def run(root: Any, program: Sequence[Step]) -> list[Any]:
    """Everything that the program sees. Containers met earlier are held on to, as a task would."""
    seen: list[Any] = []
    held: list[Any] = [root]
    for name, since, path, key, value in program:
        try:
            there = held[-min(since, len(held))] if since else root
            for token in path:
                # Programs go as far as there are containers, so that most steps do something.
                if token in there if isinstance(token, str) else len(there) > token:
                    below = there[token]
                    if kind_of(below) == "scalar":
                        break
                    there = below
            kind = kind_of(there)
            held.append(there)
            step = (OBJECT_STEPS if kind == "object" else LIST_STEPS).get(name)
            if step is None or isinstance(key, str) != (kind == "object"):
                seen.append(kind)
                continue
            result = step(there, key, value)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            result = type(error).__name__
        seen.append(result)
    return seen


def sent(recorder: Recorder) -> operation_pb2.OperationList:
    operations = operation_pb2.OperationList()
    recorder.write_operations(operations)
    return operation_pb2.OperationList.FromString(operations.SerializeToString())


@given(DATA, st.lists(STEPS, min_size=2, max_size=10))
def test_operations_do_what_the_program_did(data: dict[str, Any], program: list[Step]) -> None:
    by_dict = copy.deepcopy(data)
    recorder = Recorder(copy.deepcopy(data))

    assert run(recorder.root, program) == run(by_dict, program)
    assert recorder.root.to_dict() == by_dict
    assert equal(applied(data, sent(recorder)), by_dict)


def touches(path: str, other: str) -> bool:
    return path == other or path.startswith(other + "/") or other.startswith(path + "/")


@given(
    DATA,
    st.lists(STEPS, min_size=1, max_size=6),
    st.lists(st.tuples(PATHS, KEYS, VALUES), max_size=3),
)
def test_reads_and_writes_are_all_that_the_program_depends_on(
    data: dict[str, Any], program: list[Step], changes: list[tuple[tuple[Any, ...], str, Any]]
) -> None:
    recorder = Recorder(copy.deepcopy(data))
    seen = run(recorder.root, program)
    operations = sent(recorder)
    depends_on = [*recorder.read_paths(), *(op.path for op in operations.items)]
    elsewhere = copy.deepcopy(data)
    changed = False
    for path, key, value in changes:
        holder: Any = elsewhere
        pointer = ""
        for token in path:
            if not isinstance(holder, dict) or not isinstance(holder.get(token), dict):
                break
            holder = holder[token]
            pointer += "/" + token.replace("~", "~0").replace("/", "~1")
        pointer += "/" + key.replace("~", "~0").replace("/", "~1")
        if any(touches(pointer, other) for other in depends_on):
            continue
        changed = True
        if key in holder and value is None:
            del holder[key]
        else:
            holder[key] = value
    assume(changed)
    there = copy.deepcopy(elsewhere)

    assert run(there, program) == seen
    assert equal(applied(elsewhere, operations), there)


def test_a_struct_keeps_what_python_puts_in() -> None:
    value = {"n": None, "i": 3, "f": 0.5, "b": True, "t": "ü", "l": [1, [], {}], "o": {"e": {}}}
    struct = struct_pb2.Struct()
    write_struct(value, struct, "")
    back = read_struct(struct)
    assert equal(back, value)
    assert type(back["i"]) is int
    assert type(back["f"]) is float
