"""The library and the notes: a handful of short texts that come with the package."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

_LIBRARY = files("research_agent.tools") / "library"
_NOTES = files("research_agent.tools") / "notes"
_WORD = re.compile(r"\w{4,}")


def search(words: str) -> str:
    """The text of the library that has most of the words.

    Raises ValueError where none has any.
    """
    wanted = _words(words)
    texts = sorted(_text(page) for page in _LIBRARY.iterdir())
    best = max(texts, key=lambda text: len(wanted & _words(text)))
    if not wanted & _words(best):
        raise ValueError("nothing in the library has any of these words")
    return best


def read_note(name: str) -> str:
    """One of the researcher's own notes.

    Raises ValueError for a note that is not there.
    """
    notes = {page.name.removesuffix(".txt"): page for page in _NOTES.iterdir()}
    try:
        return _text(notes[name.strip().lower()])
    except KeyError:
        raise ValueError(f"no such note; there are {', '.join(sorted(notes))}") from None


def _text(page: Traversable) -> str:
    """One line, wherever the file breaks its own."""
    return " ".join(page.read_text(encoding="utf-8").split())


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
