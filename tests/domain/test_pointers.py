"""Pointers are RFC 6901, and touching them as texts is the same as comparing their tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain import pointers
from waystation_domain.errors import InvalidPath

TOKENS = st.lists(st.text(alphabet="ab/~01", max_size=4), max_size=4).map(tuple)


@given(TOKENS)
def test_tokens_survive_their_text(tokens: tuple[str, ...]) -> None:
    assert pointers.parse(pointers.format(tokens)) == tokens


@given(TOKENS, TOKENS)
def test_touching_is_being_a_prefix_token_by_token(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    shorter = min(len(a), len(b))
    expected = a[:shorter] == b[:shorter]
    assert pointers.touches(pointers.format(a), pointers.format(b)) is expected


def test_the_examples_of_the_rfc() -> None:
    assert pointers.parse("") == ()
    assert pointers.parse("/") == ("",)
    assert pointers.parse("/a~1b") == ("a/b",)
    assert pointers.parse("/m~0n") == ("m~n",)
    assert pointers.parse("/~01") == ("~1",)


@pytest.mark.parametrize("text", ["a", "a/b", "/a~", "/a~2b", "#/a", "/a\0b", " /a", "$.a"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath) as refused:
        pointers.parse(text)
    assert refused.value.reason == "INVALID_PATH"
    assert "\0" not in refused.value.message
