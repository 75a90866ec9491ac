"""Writes the tables of docs/metrics.md from the definitions of the metrics: `.venv/bin/python scripts/metrics_page.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from waystation_core.metrics import definitions
from waystation_worker import metrics as handler_metrics

PAGE = Path(__file__).resolve().parents[1] / "docs/metrics.md"
_TABLE = re.compile(r"(<!-- {name} -->\n).*?(<!-- end -->\n)".replace("{name}", r"(\w+)"), re.S)


def page(text: str) -> str:
    """The page with the tables of today."""
    tables = {
        "servers": _rows(
            ((each.name, each.kind.value, each.labels, each.help), ", ".join(each.servers))
            for each in definitions.ALL
        ),
        "handlers": _rows(
            ((each.name, each.kind, each.labels, each.help), "") for each in handler_metrics.ALL
        ),
    }
    return _TABLE.sub(lambda found: found[1] + tables[found[2]] + found[3], text)


def _rows(
    metrics: Iterable[tuple[tuple[str, str, tuple[str, ...], str], str]],
) -> str:
    lines = []
    for (name, kind, labels, text), where in metrics:
        named = ", ".join(f"`{label}`" for label in labels) or "-"
        of = f" ({where})" if where in ("api", "router") else ""
        lines.append(f"| `{name}` | {kind}{of} | {named} | {text} |")
    return "\n".join(
        ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *lines, ""]
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
