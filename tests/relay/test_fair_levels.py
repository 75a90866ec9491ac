"""A workflow type that floods is announced one level lower, and nothing else changes."""

from waystation_core.ports.broker import level_of
from waystation_core.relay.fair_levels import UNNOTICED, FairLevels

DEFAULT = 100


def flooded(levels: FairLevels, count: int, now: float, priority: int = DEFAULT) -> list[int]:
    return [level_of(levels.priority("flood", priority, now)) for _ in range(count)]


def test_what_floods_lets_the_others_pass() -> None:
    levels = FairLevels()
    normal = level_of(DEFAULT)
    assert flooded(levels, int(UNNOTICED), 1.0) == [normal] * int(UNNOTICED)
    assert set(flooded(levels, 1000, 1.0)) == {normal - 1}
    assert [levels.priority("quiet", DEFAULT, 1.0) for _ in range(50)] == [DEFAULT] * 50
    # In its own order still, and never below the lowest level.
    assert set(flooded(levels, 10, 1.0, 255)) == {level_of(255) - 1}
    assert set(flooded(levels, 10, 1.0, 0)) == {0}


def test_a_flood_that_is_over_is_forgotten() -> None:
    levels = FairLevels()
    flooded(levels, 1000, 0.0)
    assert set(flooded(levels, 1, 10.0)) == {level_of(DEFAULT) - 1}
    assert set(flooded(levels, 1, 60.0)) == {level_of(DEFAULT)}


def test_types_that_share_the_load_are_no_flood() -> None:
    levels = FairLevels()
    types = ("a", "b", "c")
    found = [levels.priority(name, DEFAULT, 1.0) for _ in range(500) for name in types]
    assert found == [DEFAULT] * len(found)


def test_a_namespace_that_floods_with_many_types_lets_other_namespaces_pass() -> None:
    levels = FairLevels()
    types = [f"type-{number}" for number in range(20)]

    def flood() -> set[int]:
        return {levels.priority(name, DEFAULT, 1.0, "acme") for name in types for _ in range(50)}

    assert flood() == {DEFAULT}, "nobody else is there"
    assert levels.priority("type-1", DEFAULT, 1.0, "umbrella") == DEFAULT
    assert {level_of(priority) for priority in flood()} == {level_of(DEFAULT) - 1}
    assert levels.floods_others("type-1", "acme")
    assert not levels.floods_others("type-1", "umbrella"), "the same type is another one there"
