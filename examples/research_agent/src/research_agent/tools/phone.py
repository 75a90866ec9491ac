"""A tool that cannot be relied on, by its nature: on purpose for one of its inputs."""

LINES = {
    "museum": "The museum says: the lens of Skerra stands in our hall, polished every spring.",
    "harbour office": None,
}


def ring_up(whom: str) -> str:
    """What somebody says on the phone.

    Raises ValueError for a number that nobody has, ConnectionError where nobody answers: that may be
    different in a minute.
    """
    try:
        said = LINES[whom.strip().lower()]
    except KeyError:
        raise ValueError(f"no such number; there are {', '.join(LINES)}") from None
    if said is None:
        raise ConnectionError("nobody answers")
    return said
