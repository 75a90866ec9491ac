"""What a mutant is, and how it is made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "domain": "waystation_domain",
    "conversion": "waystation_conversion",
    "core": "waystation_core",
    "api": "waystation_api",
    "router": "waystation_router",
    "worker_sdk": "waystation_worker",
    "cli": "waystation_cli",
    "tls": "waystation_tls",
}


class Rotten(Exception):
    """The text that a mutant changes is no longer there, or there several times."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule broken."""

    name: str
    rule: str
    """What the changed text would have held."""
    file: str
    """Below `services/`: `router/lease.py` is the router package's."""
    edits: tuple[tuple[str, str], ...]
    """Old and new text, each old one exactly once in the file."""
    killers: tuple[str, ...] = ()
    """Tests that fail with it, as pytest names them: one is enough, the cheapest there is."""
    survives: str = ""
    """Why nothing can notice it, where that is so."""

    @property
    def source(self) -> Path:
        """The file that it changes."""
        service, _, rest = self.file.partition("/")
        return ROOT / "services" / service / "src" / PACKAGES[service] / rest

    def mutated(self) -> str:
        """The file's text with the change. Raises Rotten."""
        text = self.source.read_text(encoding="utf-8")
        for old, new in self.edits:
            found = text.count(old)
            if found != 1:
                raise Rotten(f"{self.name}: {found} times in {self.file}, not once:\n{old}")
            text = text.replace(old, new)
        compile(text, str(self.source), "exec")
        return text

    def write_to(self, folder: Path) -> Path:
        """Puts the mutated package there; answers with what goes on PYTHONPATH."""
        service = self.file.partition("/")[0]
        package = PACKAGES[service]
        real = ROOT / "services" / service / "src" / package
        shutil.copytree(real, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / package / self.source.relative_to(real)).write_text(
            self.mutated(), encoding="utf-8"
        )
        return folder
