"""Namespaces for people."""

from __future__ import annotations

from collections.abc import Sequence

from waystation.v1.namespace_service_pb2 import Namespace, NamespaceUsage
from waystation_cli.render.text import NOTHING, plain, stdout, table
from waystation_domain import units

_LIMITS = ("max_open_workflows", "max_starts_per_second", "max_in_flight", "max_stored_bytes")


def print_made(namespace: Namespace) -> None:
    """What was made, and what to do next."""
    out = stdout()
    out.print(f"Made the namespace {plain(namespace.name)}.")
    out.print(
        f"Work in it with --namespace {plain(namespace.name)}, or set WAYSTATION_NAMESPACE.",
        style="dim",
    )


def print_deleted(name: str) -> None:
    """That it is gone."""
    stdout().print(f"Deleted the namespace {plain(name)}.")


def print_namespace(namespace: Namespace, usage: NamespaceUsage | None = None) -> None:
    """One namespace, with what it uses if that is known."""
    out = stdout()
    out.print(plain(namespace.name), style="bold")
    if namespace.description:
        out.print(plain(namespace.description))
    for name in _LIMITS:
        out.print(f"  {name:24}{_limit(namespace, name)}")
    if usage is not None:
        out.print(f"  {'open workflows':24}{usage.open_workflows:,}")
        out.print(f"  {'workflows':24}{usage.workflows:,}")
        out.print(f"  {'stored, about':24}{units.size(usage.stored_bytes)}")
        out.print(f"  {'handlers':24}{usage.handlers:,}")


def print_namespaces(namespaces: Sequence[Namespace]) -> None:
    """A table, a line for each."""
    rows = table("NAMESPACE", "OPEN", "STARTS/S", "IN FLIGHT", "BYTES", "DESCRIPTION")
    for namespace in namespaces:
        rows.add_row(
            plain(namespace.name),
            *(_limit(namespace, name) for name in _LIMITS),
            plain(namespace.description or NOTHING),
        )
    stdout().print(rows)


def _limit(namespace: Namespace, name: str) -> str:
    limits = namespace.limits
    if not limits.HasField(name):  # type: ignore[arg-type, unused-ignore]
        return NOTHING
    return f"{getattr(limits, name):,g}" if "starts" in name else f"{getattr(limits, name):,}"
