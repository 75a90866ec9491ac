"""The Helm chart, rendered by the real helm: where it is not, that is said at the end of the run instead of skipped."""

import shutil
import subprocess
from pathlib import Path

import pytest


def _helm() -> str | None:
    """Where it is: in the PATH, or where `scripts/install-packages helm` has built it."""
    go = shutil.which("go")
    if go is None:
        return shutil.which("helm")
    path = subprocess.run([go, "env", "GOPATH"], capture_output=True, text=True, check=True)
    built = Path(path.stdout.strip()) / "bin" / "helm"
    return shutil.which("helm") or (str(built) if built.exists() else None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    if here and _helm() is None:
        items[:] = [item for item in items if item not in here]
        config.hook.pytest_deselected(items=here)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _helm() is None:
        terminalreporter.write_line(
            "NOT TRIED the Helm chart: `make helm` builds helm", yellow=True
        )


@pytest.fixture(scope="session")
def helm() -> str:
    """The program."""
    found = _helm()
    assert found is not None, "else these tests are not collected"
    return found
