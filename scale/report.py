"""What was measured, and its bounds, as a table and as JSON."""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

LATEST = Path(__file__).parent / "results" / "latest.json"

_HOLDS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a case."""

    case: str
    what: str
    figure: float
    sign: str
    """`<=` or `>=`: how the figure must stand to the bound."""
    bound: float
    unit: str = "s"

    @property
    def holds(self) -> bool:
        return _HOLDS[self.sign](self.figure, self.bound)


def write(rows: Sequence[Row], path: Path) -> None:
    """Replaces the file with these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{**asdict(row), "holds": row.holds} for row in rows]
    path.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def show(rows: Sequence[Row]) -> None:
    """Prints the table."""
    table = Table(title="figures and their bounds")
    for name, justify in (
        ("case", "left"),
        ("what", "left"),
        ("figure", "right"),
        ("bound", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    for row in rows:
        table.add_row(
            row.case,
            row.what,
            f"{row.figure:,.2f} {row.unit}",
            f"{row.sign} {row.bound:,.2f} {row.unit}",
            "" if row.holds else "MISSED",
        )
    Console(width=None if Console().is_terminal else 140).print(table)
