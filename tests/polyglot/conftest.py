"""Handler services and clients without SDK: the programs of docs/without-sdk, typed, built and started.

Which languages are tried: those of `--languages`, which must be there; else those that take little time and
whose tools are there. What is not tried is said at the end of the run, so that nobody takes it for tested.
"""

import shutil
from collections.abc import Iterator

import pytest
from support import signing
from support.polyglot import LANGUAGES, Language, Program, Service
from support.system import Embedded

from localservers.processes import ChildProcess

NOT_TRIED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "checks_signatures: of programs that check signatures")


def _chosen(config: pytest.Config) -> list[Language]:
    asked = str(config.getoption("--languages"))
    names = set(asked.replace(",", " ").split()) - {"all"}
    if not names <= set(LANGUAGES):
        raise pytest.UsageError(f"--languages knows {', '.join(LANGUAGES)} and all")
    config.stash[NOT_TRIED] = not_tried = {}
    chosen = []
    for language in LANGUAGES.values():
        missing = [tool for tool in language.tools if shutil.which(tool) is None]
        if names:
            wanted = language.name in names
        elif missing:
            wanted = language.required
            not_tried[language.name] = f"this machine has no {' and no '.join(missing)}"
        else:
            wanted = asked == "all" or language.quick
            not_tried[language.name] = "`make polyglot` tries it"
        if wanted:
            chosen.append(language)
            not_tried.pop(language.name, None)
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        chosen = [language for language in _chosen(metafunc.config) if language.runs]
        if metafunc.definition.get_closest_marker("checks_signatures"):
            chosen = [language for language in chosen if language.checks_signatures]
        metafunc.parametrize("language", chosen, ids=lambda each: each.name, scope="session")
    if "generated" in metafunc.fixturenames:
        chosen = [language for language in _chosen(metafunc.config) if not language.runs]
        metafunc.parametrize("generated", chosen, ids=lambda each: each.name, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that no chosen language has is left out instead of skipped."""
    left_out = [item for item in items if "[NOTSET" in item.name]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for name, why in config.stash.get(NOT_TRIED, {}).items():
        terminalreporter.write_line(f"NOT TRIED {name}: {why}", yellow=True)


@pytest.fixture(scope="session")
def program(language: Language, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The page's program of one language, built as the page says."""
    missing = [tool for tool in language.tools if shutil.which(tool) is None]
    if missing:
        pytest.fail(f"{language.name} was asked for, and this machine has no {', '.join(missing)}")
    program = Program(language, tmp_path_factory.mktemp(language.name))
    program.build()
    return program


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One engine for all languages."""
    folder = tmp_path_factory.mktemp("engine")
    # All that the programs answer is signed, so that they may ask for it.
    signing_key = signing.write(folder / "signing.pem", 1)
    with Embedded(folder, {"WAYSTATION_SIGNING_KEY": str(signing_key)}) as system:
        yield system


@pytest.fixture(scope="session")
def service(program: Program, system: Embedded) -> Iterator[Service]:
    """The program as a handler service, for all tests of its language."""
    service = Service(program, system.address)
    yield service
    service.stop()


@pytest.fixture
def handler(service: Service) -> ChildProcess:
    """Its process, registered; another one where a test has ended it."""
    return service.process()
