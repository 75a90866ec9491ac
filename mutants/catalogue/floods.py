"""A workflow type that floods, and the others beside it."""

from mutants.mutant import Mutant

_TESTS = "tests/router/test_flood_window.py::"

MUTANTS = (
    Mutant(
        "a_flood_enters_whole",
        "What floods beside others has a window",
        "router/flood_line.py",
        (("        has_room = self._window.has_room(now)\n", "        has_room = True\n"),),
        killers=(f"{_TESTS}test_a_flood_waits_for_room_and_others_pass",),
    ),
    Mutant(
        "others_wait_behind_a_flood",
        "Only the flood waits for room in its window",
        "router/flood_line.py",
        (("            if not self._window.is_for(*_type_of(one)) or (", "            if ("),),
        killers=(f"{_TESTS}test_a_flood_waits_for_room_and_others_pass",),
    ),
    Mutant(
        "a_flood_never_comes_back",
        "What waits enters when there is room, whether or not anything is acknowledged",
        "router/flood_line.py",
        (("        if self._waiting and self._look is None:", "        if False:"),),
        killers=(f"{_TESTS}test_calls_that_last_make_room",),
    ),
    Mutant(
        "the_window_stays_small",
        "The window grows again while commits are quick",
        "router/flood_window.py",
        (("        elif self.is_full:\n", "        elif False:\n"),),
        killers=(
            f"{_TESTS}test_the_window_shrinks_while_commits_are_slow_and_grows_when_they_are_not",
        ),
    ),
    Mutant(
        "a_flood_takes_all_places",
        "A type that floods leaves places of a task to others",
        "router/places.py",
        (("            return share - share // KEPT_FREE\n", "            return share\n"),),
        killers=(f"{_TESTS}test_a_flood_leaves_places_to_others",),
    ),
    Mutant(
        "each_few_of_a_flood_have_a_load_of_their_own",
        "What enters behind a flood is loaded in turn with everything else",
        "router/intake.py",
        (
            (
                "        async with self._loads:\n            await self._load_or_leave(event_ids, suspects)\n",
                "        await self._load_or_leave(event_ids, suspects)\n",
            ),
        ),
        killers=(
            "tests/router/test_intake.py::"
            "test_what_enters_behind_a_flood_is_loaded_by_no_more_loads_than_anything_else",
        ),
    ),
    Mutant(
        "each_that_is_not_called_calls_the_next_one",
        "However many deliveries of an ended instance wait for a place, none gives it back twice",
        "router/places.py",
        (("        if namespace.being_filled:\n", "        if False:\n"),),
        killers=(
            f"{_TESTS}"
            "test_however_many_wait_for_a_place_of_an_instance_that_ended_nothing_is_called",
        ),
    ),
)
