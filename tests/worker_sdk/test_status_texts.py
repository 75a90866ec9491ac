"""A status that is too long for a caller takes its code with it."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from waystation_core.rpc import status_texts as engine
from waystation_worker import status_texts as sdk


@given(st.text(max_size=3_000), st.sampled_from(["", "x" * 3_000, "\N{GRINNING FACE}" * 500]))
def test_a_text_is_cut_by_what_it_takes_on_the_way(start: str, more: str) -> None:
    for short, most in (
        (sdk.short_enough, sdk.MAX_ENCODED_BYTES),
        (engine.short_enough, engine.MAX_MESSAGE_BYTES),
    ):
        text = (start + more).encode("utf-8", "replace").decode()
        kept = short(text)
        assert len(quote(kept, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")) <= most
        assert text == kept or (kept.endswith("...") and text.startswith(kept[:-3]))


def test_all_of_many_details_are_short_enough_together() -> None:
    kept = engine.short_details({f"k{number}": "y" * 1_000 for number in range(10)})
    assert sum(len(key) + len(value) for key, value in kept.items()) <= engine.MAX_DETAIL_BYTES + 60
    assert kept["k0"] == "y" * 1_000
