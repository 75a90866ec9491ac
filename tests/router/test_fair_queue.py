"""Who floods a line stands in it like everybody else: once."""

import pytest

from waystation_core.fair_queue import FairQueue


def test_each_name_is_served_in_turn_and_in_order_within_itself() -> None:
    line: FairQueue[str] = FairQueue()
    for number in range(1000):
        line.append("flood", f"f{number}")
    line.append("quiet", "q0")
    line.append("other", "o0")
    line.append("quiet", "q1")
    assert len(line) == len(list(line)) == 1003
    assert list(line.firsts()) == [("flood", "f0"), ("quiet", "q0"), ("other", "o0")]
    assert [line.pop() for _ in range(8)] == ["f0", "q0", "o0", "f1", "q1", "f2", "f3", "f4"]
    line.remove("flood", "f6")
    assert [line.pop() for _ in range(2)] == ["f5", "f7"]
    for name, item in (("flood", "f6"), ("quiet", "q0")):
        with pytest.raises(ValueError, match=r"in line|not in"):
            line.remove(name, item)
    line.append("quiet", "q2")
    assert line.pop_of("quiet") == "q2"
    assert list(line.firsts()) == [("flood", "f8")]
    while line:
        line.pop()
    assert len(line) == 0
