"""DeadLetterService: list, retry and discard; bulk and portions are for many at once."""
