"""The house itself: names, docstrings, exported names, the lock, the commands. `make check` looks at
arrows, contract, generated code and tracked files."""

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    path.name: path
    for path in [
        *ROOT.glob("services/*/src/*"),
        *ROOT.glob("examples/*/src/*"),
        ROOT / "tools/localservers/src/localservers",
    ]
    if (path / "__init__.py").exists()
}
MODULES = sorted(
    module
    for source in SOURCES.values()
    for module in source.rglob("*.py")
    if "versions" not in module.parts  # migrations, named by Alembic
)
PACKAGES = [module.parent for module in MODULES if module.name == "__init__.py"]


def _dotted(package: Path) -> str:
    source = next(source for source in SOURCES.values() if package.is_relative_to(source))
    return ".".join(package.relative_to(source.parent).parts)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_package_is_checked() -> None:
    assert set(SOURCES) == {
        "waystation_domain",
        "waystation_conversion",
        "waystation_tls",
        "waystation_core",
        "waystation_api",
        "waystation_router",
        "waystation_worker",
        "waystation_cli",
        "chat_model",
        "insurance_claim",
        "research_agent",
        "localservers",
    }


@pytest.mark.parametrize("package", PACKAGES, ids=_dotted)
def test_a_package_says_what_it_is_for_and_exports_what_it_lists(package: Path) -> None:
    module = importlib.import_module(_dotted(package))
    assert module.__doc__, "say what the room is for and what it must not import"
    tree = ast.parse((package / "__init__.py").read_text())
    brought = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_dotted(package))
        for alias in node.names
    }
    listed = getattr(module, "__all__", None)
    if listed is None:
        assert not brought, "a package that brings names out lists them in __all__"
        return
    assert all(hasattr(module, name) for name in listed)
    assert len(set(listed)) == len(listed)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert brought - used <= set(listed), "brought out of a module but not listed"


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc)(_|$)")
    assert [str(m) for m in MODULES if empty.search(m.stem) or empty.search(m.parent.name)] == []


def test_the_lock_pins_everything_by_hash_and_names_no_address() -> None:
    for name in ("requirements.lock", "requirements-gen.lock"):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[a-zA-Z0-9][^\n]*", text, re.MULTILINE)
        assert pins
        assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*\\$", pin) for pin in pins), name
        assert text.count("--hash=sha256:") >= len(pins)
        assert "://" not in text


def test_make_help_lists_every_command_a_person_may_type() -> None:
    named = set(
        re.findall(r"^  make ([a-z-]+)", _run("make", "--no-print-directory", "help"), re.M)
    )
    makefile = (ROOT / "Makefile").read_text()
    phony = {
        word for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.M) for word in line.split()
    }
    assert {"setup", "check", "test", "gen"} <= named
    assert phony - named <= {"rabbitmq", "node", "protoc", "prometheus", "pgbouncer"}
