"""What hypothesis draws for the domain's tests: small JSON over few keys, so that paths meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from waystation_domain.operations import Operation

KEYS = st.sampled_from(["a", "b", "0", "1", "-", "x/y", "~", ""])

# Dyadic fractions of modest size: sums of them are exact, so that orders can be compared.
NUMBERS = st.integers(-1_000, 1_000).map(lambda n: n // 4 if n % 4 == 0 else n / 4)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(alphabet="az\u00e9\U0001f600", max_size=3)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)

TOKENS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """One operation of any kind; only `set` may name the root."""
    tokens = draw(TOKENS)
    path = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    kind = draw(
        st.sampled_from(["set", "set", "remove", "increment", "append", "add_to_set", "maximum"])
    )
    if kind == "remove":
        return Operation(path, kind)
    if kind in ("increment", "maximum"):
        return Operation(path, kind, draw(NUMBERS))
    if kind == "set" and draw(st.integers(0, 15)) == 0:
        return Operation("", kind, draw(OBJECTS))
    return Operation(path, kind, draw(JSON))
