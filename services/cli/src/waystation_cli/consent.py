"""Questions to a person, before something is done, that may be answered with no or with Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from waystation_cli.outcome import INTERRUPTED, NO


def require_yes(question: str, otherwise: str = "Nothing was done.") -> None:
    """Returns after a yes. A no says `otherwise` and ends the command."""
    with asking(otherwise):
        if typer.confirm(question, err=True):
            return
    typer.echo(otherwise, err=True)
    raise typer.Exit(NO)


@contextmanager
def asking(otherwise: str) -> Iterator[None]:
    """Ctrl-C at a question of its body ends the command with the exit code that it has elsewhere, the end of the
    input counts as a no; both say `otherwise`. Typer makes one error of them."""
    try:
        yield
    except typer.Abort as end:
        typer.echo(f"\n{otherwise}", err=True)
        interrupted = isinstance(end.__context__, KeyboardInterrupt)
        raise typer.Exit(INTERRUPTED if interrupted else NO) from end
