"""No server makes a background task that nobody owns."""

import ast
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"
SERVERS = ("core", "api", "router", "cli")
MAKER = SERVICES / "core/src/waystation_core/background/owned.py"
MAKES = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe"}


def _made(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
        if name in MAKES and isinstance(node, (ast.Attribute, ast.Name)):
            yield f"{file.relative_to(SERVICES)}:{node.lineno}: {name}"


def test_tasks_are_made_by_their_owner_only() -> None:
    """By `waystation_core.background`: run_loop, job, step."""
    files = [file for server in SERVERS for file in (SERVICES / server / "src").rglob("*.py")]
    assert list(_made(MAKER)), "the scan finds nothing where there is something"
    assert [made for file in files if file != MAKER for made in _made(file)] == []
