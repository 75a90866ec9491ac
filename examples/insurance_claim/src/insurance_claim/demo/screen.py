"""What a person sees meanwhile: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_STYLES = {
    "ACTIVE": "cyan",
    "WAITING_FOR_INPUT": "yellow",
    "DEAD LETTER": "red",
    "COMPLETED": "green",
    "FAILED": "magenta",
}


@dataclass
class Row:
    """One workflow on the screen."""

    name: str
    status: str = "starting"
    doing: str = ""
    since: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def milliseconds(self) -> int:
        """Since the start; stands still once it has ended."""
        return round(((self.ended or time.monotonic()) - self.since) * 1000)


class Screen:
    """Shows the rows until it is left; `tell` says something about one of them."""

    def __init__(self, console: Console, names: Iterable[str]) -> None:
        self.live = console.is_terminal
        self._console = console
        self._rows = {name: Row(name) for name in names}
        self._progress = Progress(
            TextColumn("[bold]claims[/]"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._task = self._progress.add_task("claims", total=len(self._rows))
        self._view = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Self:
        if self.live:
            self._view.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the live table away, so that other output can follow; safe to call twice."""
        if self.live:
            self._view.stop()

    def started(self, name: str) -> None:
        """Its clock starts."""
        self._rows[name].since = time.monotonic()

    def tell(self, name: str, status: str, doing: str, *, aloud: bool = True) -> None:
        """Shows what a workflow is doing; `aloud` also where there is no live table."""
        row = self._rows[name]
        row.status, row.doing = status, doing
        if aloud and not self.live:
            self._console.print(
                f"{row.milliseconds:>6} ms  {name:<26} {status:<18} {doing}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def now(self, name: str, event_type: str) -> None:
        """Shows the newest event of a workflow that is not waiting for anybody."""
        row = self._rows[name]
        if row.status == "ACTIVE" and row.ended is None:
            row.doing = event_type

    def ended(self, name: str, status: str, doing: str) -> None:
        """Its clock stands still from now on."""
        self._rows[name].ended = time.monotonic()
        self._progress.advance(self._task)
        self.tell(name, status, doing)

    def _render(self) -> RenderableType:
        table = Table(box=None, padding=(0, 1), expand=True)
        table.add_column("claim", no_wrap=True)
        table.add_column("status", no_wrap=True)
        table.add_column("now", no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_column("ms", justify="right", no_wrap=True)
        for row in self._visible():
            style = _STYLES.get(row.status, "dim")
            table.add_row(
                row.name, Text(row.status, style), Text(row.doing), f"{row.milliseconds:,}"
            )
        return Group(self._progress, table)

    def _visible(self) -> list[Row]:
        """All rows where they fit; else those still running first."""
        room = max(self._console.size.height - 4, 5)
        rows = list(self._rows.values())
        if len(rows) <= room:
            return rows
        return sorted(rows, key=lambda row: row.ended is not None)[:room]
