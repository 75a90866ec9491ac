"""Whether processes live, whosever they are."""

from pathlib import Path


def living(pids: set[int]) -> set[int]:
    """Those of them that have not ended."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return {pid for pid, state in states.items() if state not in "ZX"}
