"""What the servers and handler services of tests are forked from, instead of importing all of it again.

Tests of the commands themselves start fresh interpreters: `waystation-api` and `waystation-router`
(`api/test_process.py`, `e2e/test_bad_settings.py`), `waystation` with `waystation dev` (`cli/test_dev.py`), the
pages, the demos, the programs of other languages; and so do bench, scale and `fuzz_input`, which start
systems of their own. Chaos forks in its short form (`--forked`).
"""

import threading
from pathlib import Path

from localservers.fork_server import ForkServer

MODULES = (
    "waystation_api.main",
    "waystation_router.main",
    "waystation_cli.__main__",
    "waystation_cli.embedded.system",
    "waystation_worker",
    "insurance_claim.reader",
    "insurance_claim.service",
)
ROOT = Path(__file__).parents[2]

_lock = threading.Lock()
_started: list[ForkServer] = []


def fork_server() -> ForkServer:
    """This process's own, from its first use to its end."""
    with _lock:
        if not _started:
            _started.append(ForkServer(MODULES))
        return _started[0]
