"""Which Python `make setup` takes: one built with optimisations before one that comes first, and PYTHON before all."""

import os
import subprocess
from pathlib import Path

from support.system import ROOT


def interpreter(folder: Path, name: str, *, optimised: bool) -> Path:
    """Something that answers what is asked of a Python."""
    path = folder / name
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *interpreter.py*) exit {int(not optimised)};; esac\nexit 0\n'
    )
    path.chmod(0o755)
    return path


def found(folder: Path, **environment: str) -> str:
    without = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.check_output(
        [ROOT / "scripts" / "find-python"], env={**without, "PATH": path, **environment}, text=True
    ).strip()


def test_an_interpreter_with_optimisations_is_preferred(tmp_path: Path) -> None:
    plain = interpreter(tmp_path, "python3", optimised=False)
    interpreter(tmp_path, "python3.13", optimised=True)
    assert found(tmp_path) == "python3.13"
    assert found(tmp_path, PYTHON=str(plain)) == str(plain)


def test_the_first_is_taken_if_it_has_them(tmp_path: Path) -> None:
    for name in ("python3", "python3.13"):
        interpreter(tmp_path, name, optimised=True)
    assert found(tmp_path) == "python3"
