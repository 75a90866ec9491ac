"""Starts the `waystation` command."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

from waystation_cli.app import app
from waystation_cli.outcome import NOT_WRITTEN, PIPE_CLOSED, USAGE


def main() -> None:
    """Runs the command line of this process and exits with its code."""
    # gRPC reads it as it is imported, which a command does that needs it. Its own lines about a connection that
    # fails would stand between those that say the same for people.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    output = sys.stdout
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a character shows another one instead of failing.
            stream.reconfigure(errors="replace")
    for argument in sys.argv:
        if not argument.isprintable() and any("\ud800" <= each <= "\udfff" for each in argument):
            print(f"Error: {argument!r} is not UTF-8 text.", file=sys.stderr)
            sys.exit(USAGE)
    try:
        code = _run()
        if sys.stdout is not output:
            # What ends quietly where nobody reads any more leaves this trace.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        output.flush()
    except OSError as error:
        code = _not_written(error)
    sys.exit(code)


def _run() -> int | str | None:
    try:
        app(prog_name="waystation")
    except SystemExit as end:
        return end.code
    return None


def _not_written(error: OSError) -> int:
    """Tells on one line that not all of the output is there, unless nobody wants the rest."""
    closed = error.errno == errno.EPIPE
    if not closed:
        with contextlib.suppress(OSError):
            print(f"Error: the output cannot be written: {error.strerror}.", file=sys.__stderr__)
    # What is left in the buffer would be tried again at the end of the process.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return PIPE_CLOSED if closed else NOT_WRITTEN


if __name__ == "__main__":
    main()
