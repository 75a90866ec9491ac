"""The rules need nothing but Python: each of their modules, where no other package can be found."""

import subprocess
import sys
import tomllib
from pathlib import Path

DOMAIN = Path(__file__).resolve().parents[2] / "services/domain"


def test_every_module_of_the_rules_loads_in_a_bare_python() -> None:
    source = DOMAIN / "src"
    modules = [
        f"waystation_domain.{file.stem}" for file in source.glob("waystation_domain/[a-z]*.py")
    ]
    assert len(modules) > 20
    program = f"import sys; sys.path.insert(0, {str(source)!r}); import {', '.join(modules)}"
    # -S: no site-packages; -I: nothing from the environment or the current folder.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    project = tomllib.loads((DOMAIN / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []
