"""What `waystation dev` says once it is ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from waystation_cli.render.document import print_document
from waystation_cli.render.text import plain, stdout


def print_ready(address: str, data_dir: Path, database_url: str, as_json: bool) -> None:
    """Prints the address and an example; returns when the output is flushed."""
    if as_json:
        print_document(
            {
                "address": address,
                "process_id": os.getpid(),
                "data_dir": str(data_dir),
                "database_url": database_url,
            }
        )
    else:
        out = stdout()
        out.print(f"Waystation is ready at {address}", style="bold green")
        out.print(plain(f"Data directory: {data_dir}. Ctrl-C stops it."))
        out.print("Try:", style="bold")
        out.print(
            '  grpcurl -plaintext -d \'{"workflow_type": "hello"}\' '
            f"{address} waystation.v1.WorkflowService/StartWorkflow",
            soft_wrap=True,
        )
        out.print(f"  waystation --help{_named(address)}")
    # A pipe is not flushed by a line's end.
    print(end="", flush=True)


def _named(address: str) -> str:
    default = address == "127.0.0.1:7400"
    return "" if default else f"    (with WAYSTATION_ADDRESS={address})"


def print_bad_settings(faults: Sequence[str]) -> None:
    """Tells every fault of the settings at once, on stderr."""
    print("Invalid settings:", file=sys.stderr)
    for fault in faults:
        print(plain(f"- {fault}"), file=sys.stderr)
