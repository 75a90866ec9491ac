"""DeadLetterService: list, retry and discard; `bulk` and `portions` do it for many at once."""
