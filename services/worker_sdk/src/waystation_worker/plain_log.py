"""Texts of others cannot steer the terminal that shows the log: control characters are written as they would be in code.

A payload may be in what a failure says, and what a stranger sends in why a call was refused.
"""

from __future__ import annotations

import logging
import re

# All but tab and newline: C0, C1, and what turns the direction of text.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text with such characters as escapes."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


class PlainLog(logging.Filter):
    """Lets every record pass, in plain text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        message = record.getMessage()
        if (said := plain(message)) != message:
            record.msg, record.args = said, ()
        if record.exc_info and not record.exc_text:
            try:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            except Exception:
                # The exception is code of others, and cannot be written down.
                record.exc_info = None
        if record.exc_text:
            record.exc_text = plain(record.exc_text)
        return True


def keep_plain(logger: logging.Logger) -> None:
    """Everything that this logger writes is plain from now on."""
    if not any(isinstance(each, PlainLog) for each in logger.filters):
        logger.addFilter(PlainLog())
