"""The programs of docs/without-sdk: in which languages there is one, what each needs, and how it is run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localservers.processes import ChildProcess
from support import signing
from support.typed_pages import ROOT, TypedPage

PAGES = ROOT / "docs" / "without-sdk"
CLIENT_SECONDS = 60


@dataclass(frozen=True)
class Language:
    """A language that a page has a program in."""

    name: str
    tools: tuple[str, ...]
    """What must be in the PATH to build and run it."""
    quick: bool = True
    """Whether `make test` tries it where its tools are: what it takes from a registry is little or kept by
    its tools, and it builds in seconds."""
    required: bool = False
    """Whether `make test` fails without its tools, because it installs them."""
    runs: bool = True
    """Whether its page has a program; else there is only generated code to look at."""
    checks_signatures: bool = True
    """Whether its program admits only signed calls where it has keys."""
    ends_with: int = 0
    """The exit code of a process that SIGTERM has ended in order."""


_ALL = (
    Language("typescript", ("node", "npm"), required=True),
    Language("go", ("go",)),
    Language("rust", ("cargo",), quick=False, checks_signatures=False),
    Language("csharp", ("protoc",), runs=False),
    Language("java", ("java", "javac", "mvn"), quick=False, ends_with=143),
)
LANGUAGES = {language.name: language for language in _ALL}


class Program:
    """The program of one page: `serve` is a handler service, its other verbs are a client."""

    def __init__(self, language: Language, folder: Path) -> None:
        self.language = language
        self._page = TypedPage(PAGES / f"{language.name}.md", folder)
        self.folder = folder
        self._lives = 0

    def build(self) -> None:
        """Types the page: writes its files, installs, generates, compiles."""
        self._page.type()

    def serve(self, address: str) -> ChildProcess:
        """Starts the handler service at a free port and returns once it is registered."""
        environment = {"WAYSTATION_ADDRESS": address, "PORT": "0"}
        if self.language.checks_signatures:
            environment["WAYSTATION_IDENTITY_KEYS"] = (
                f"{signing.key(2).public},{signing.key(1).public}"
            )
        process = self._start("serve", environment=environment)
        process.wait_for_output("registered as", timeout=60)
        return process

    def watch(self, address: str, workflow_instance_id: str) -> ChildProcess:
        """Starts the client's `watch`."""
        return self._start(
            "watch", workflow_instance_id, environment={"WAYSTATION_ADDRESS": address}
        )

    def client(self, address: str, verb: str, *arguments: str) -> str:
        """What the client's verb prints. Raises AssertionError where it fails."""
        done = self.try_client(address, verb, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_client(
        self, address: str, verb: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the client's verb to its end."""
        process = self._start(verb, *arguments, environment={"WAYSTATION_ADDRESS": address})
        code = process.wait(CLIENT_SECONDS)
        return subprocess.CompletedProcess([verb, *arguments], code, process.output(), "")

    def _start(self, verb: str, *arguments: str, environment: Mapping[str, str]) -> ChildProcess:
        self._lives += 1
        return ChildProcess(
            self._page.command(verb, *arguments),
            name=f"{self.language.name} {verb}",
            log=self.folder / "logs" / f"{self._lives:02d}-{verb}.log",
            env=environment,
            cwd=self.folder,
        )


class Service:
    """A program's handler service: one process at a time."""

    def __init__(self, program: Program, address: str) -> None:
        self._program = program
        self._address = address
        self._process: ChildProcess | None = None

    def process(self) -> ChildProcess:
        """The process, started where none runs."""
        if self._process is None or not self._process.running:
            self._process = self._program.serve(self._address)
        return self._process

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.stop()
