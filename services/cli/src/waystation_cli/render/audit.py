"""The audit log as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from waystation.v1.audit_service_pb2 import AuditEntry
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import (
    NOTHING,
    WIDE,
    plain,
    stdout,
    table,
    when_in_column,
    zone,
)


def print_audit(entries: Sequence[AuditEntry], more: bool) -> None:
    """One line for each entry, newest first."""
    out = stdout()
    if not entries:
        out.print("Nothing in the audit log matches.")
        return
    wide = out.width >= WIDE
    rows = table(
        f"TIME ({zone()})", "WHO", *(("FROM",) if wide else ()), "CALL", "ABOUT", "OUTCOME"
    )
    rows.columns[0].no_wrap = True
    for entry in entries:
        rows.add_row(
            when_in_column(entry.occurred_at),
            plain(entry.principal or NOTHING),
            *((plain(entry.peer or NOTHING),) if wide else ()),
            plain(entry.method or NOTHING),
            plain(_about(entry)),
            _outcome(entry),
        )
    out.print(rows)
    if more:
        print_more(out, len(entries))


def _about(entry: AuditEntry) -> str:
    # Ids say most by themselves; what else there is has its name.
    words = [
        value if name.endswith(("_id", "name")) else f"{name}={value}"
        for name, value in sorted(entry.target.items(), key=_ids_first)
    ]
    return " ".join(words) or NOTHING


def _ids_first(item: tuple[str, str]) -> tuple[bool, str]:
    return not item[0].endswith(("_id", "name")), item[0]


def _outcome(entry: AuditEntry) -> Text:
    if entry.code == "OK":
        return Text("OK", style="green")
    said = entry.reason or entry.code
    times = f" x{entry.calls}" if entry.calls > 1 else ""
    denied = entry.code in ("UNAUTHENTICATED", "PERMISSION_DENIED")
    return Text(plain(said + times), style="red" if denied else "yellow")
