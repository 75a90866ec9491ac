"""Processes that are forked from one that has imported everything are processes as any other."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.fork_server import MODULES, fork_server
from support.living import living

from localservers.fork_server import ForkServer, ForkServerEnded
from localservers.processes import ChildProcess, ProcessFailed, wait_until

PROGRAM = """
import atexit, gc, json, os, signal, sys, threading, time
import noted
atexit.register(lambda: print("at exit", flush=True))
match sys.argv[1]:
    case "describe":
        print(json.dumps({
            "main": __name__,
            "file": __file__,
            "argv": sys.argv,
            "path": sys.path[:2],
            "modules": "noted" in sys.modules,
            "cwd": os.getcwd(),
            "environ": dict(os.environ),
            "session": os.getsid(0) == os.getpgid(0) == os.getpid(),
            "descriptors": sorted(os.listdir("/proc/self/fd")),
            "input": sys.stdin.read(),
            "streams": [str(s.encoding) + s.errors + str(s.line_buffering) for s in (sys.stdout, sys.stderr)],
            "signals": [str(signal.getsignal(n)) for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP)],
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "wakeup": signal.set_wakeup_fd(-1),
            "umask": os.umask(0),
            "gc": [gc.isenabled(), *gc.get_threshold()],
            "threads": [t.name for t in threading.enumerate()] + os.listdir("/proc/self/task")[1:],
        }))
    case "exit":
        sys.exit(int(sys.argv[2]))
    case "say":
        sys.exit(sys.argv[2])
    case "raise":
        print("before", end="")
        raise LookupError("nothing there")
    case "stay":
        print("here", flush=True)
        time.sleep(600)
    case "family":
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("child", os.getpid(), flush=True)
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program, a module that it imports, and a package, which notes where it was imported."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "noted.py").write_text("import os\nIMPORTED_BY = os.getpid()\n")
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import sys, noted\nprint(__name__, noted.IMPORTED_BY, sys.argv)\n"
    )
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ForkServer]:
    server = ForkServer(["noted", "json", "threading"], path=[folder])
    yield server
    server.close()


class Started:
    """Starts the program, by a fork or afresh; what is left of it ends with the test."""

    def __init__(self, folder: Path, logs: Path, server: ForkServer) -> None:
        self.folder = folder
        self._logs = logs
        self._server = server
        self._lock = threading.Lock()
        self._processes: list[ChildProcess] = []

    def __call__(
        self,
        *arguments: str,
        program: tuple[str, ...] = (),
        fresh: bool = False,
        server: ForkServer | None = None,
        cwd: Path | None = None,
        **variables: str,
    ) -> ChildProcess:
        program = program or (str(self.folder / "program.py"),)
        with self._lock:
            number = len(self._processes)
            process = ChildProcess(
                [sys.executable, *program, *arguments],
                name=f"process {number}",
                log=self._logs / f"{number}.log",
                env=variables,
                cwd=cwd,
                fork_server=None if fresh else server or self._server,
            )
            self._processes.append(process)
        return process

    def output(self, *arguments: str, **how: object) -> str:
        """What it wrote, once it has ended with 0."""
        process = self(*arguments, **how)  # type: ignore[arg-type]
        assert process.wait() == 0, process.output()
        return process.output()

    def stop(self) -> None:
        for process in self._processes:
            if process.running:
                process.kill()


@pytest.fixture
def started(folder: Path, tmp_path: Path, server: ForkServer) -> Iterator[Started]:
    started = Started(folder, tmp_path, server)
    yield started
    started.stop()


def test_a_forked_process_finds_what_a_fresh_one_finds(started: Started, tmp_path: Path) -> None:
    how = {"cwd": tmp_path, "ORDERED": "of both, \N{SNOWMAN}"}
    told = [started.output("describe", "a b", "", fresh=fresh, **how) for fresh in (False, True)]
    assert '"session": true' in told[0]
    assert "of both" in told[0]
    assert told[0] == told[1]


def test_its_environment_is_the_one_of_its_order(
    started: Started, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_LATER", "yes")
    monkeypatch.delenv("PATH")
    told = started.output("describe")
    assert '"SET_LATER": "yes"' in told
    assert '"PATH"' not in told


@pytest.mark.parametrize("name", ["PYTHONUTF8", "GRPC_VERBOSITY", "READ_BY_A_MODULE"])
def test_what_counts_while_an_interpreter_starts_is_refused(
    started: Started, tmp_path: Path, name: str
) -> None:
    (tmp_path / "reads.py").write_text("import os\nos.environ.get('READ_BY_A_MODULE')\n")
    server = ForkServer(["reads"], path=[tmp_path])
    try:
        with pytest.raises(ValueError, match=f"{name} counts while an interpreter starts"):
            started("describe", server=server, **{name: "1"})
        assert "at exit" in started.output("exit", "0", server=server, NOT_READ="1")
    finally:
        server.close()


def test_what_the_tests_import_beforehand_reads_no_setting() -> None:
    """A process that is forked has the settings of its order, because nobody asked for them before."""
    program = (
        "import sys\n"
        "from localservers.fork_server_main import Template\n"
        "template = Template(control=None)\n"
        "template.load(sys.argv[1:], [])\n"
        "print('read', *template.variables_read)\n"
        "print('threads', len(__import__('os').listdir('/proc/self/task')))\n"
        "print('files', *sorted(__import__('os').listdir('/proc/self/fd')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *MODULES], capture_output=True, text=True, check=True
    )
    read, threads, files = done.stdout.splitlines()
    names = set(read.split()[1:])
    assert "PSYCOPG_IMPL" in names
    assert not [name for name in names if name.startswith(("WAYSTATION", "OPENAI"))]
    assert threads == "threads 1"
    # The fourth is the folder that is being listed.
    assert files == "files 0 1 2 3"


def test_modules_come_from_the_template_and_programs_from_where_they_are(
    started: Started, server: ForkServer, folder: Path
) -> None:
    as_module = started.output("x", program=("-m", "package"), cwd=folder)
    main, imported_by, argv = as_module.split(maxsplit=2)
    assert (main, int(imported_by)) == ("__main__", server.pid)
    assert str(folder / "package" / "__main__.py") in argv
    assert argv.strip().endswith("'x']")


def test_it_ends_as_an_interpreter_ends(started: Started) -> None:
    for fresh in (False, True):
        left = started("exit", "78", fresh=fresh)
        assert (left.wait(), left.output()) == (78, "at exit\n")
        said = started("say", "no such thing", fresh=fresh)
        assert (said.wait(), said.output()) == (1, "no such thing\nat exit\n")
        failed = started("raise", fresh=fresh)
        assert failed.wait() == 1
        assert failed.output().startswith("beforeTraceback (most recent call last):\n")
        assert "LookupError: nothing there" in failed.output()
        assert "at exit" in failed.output()


def test_each_process_has_its_own_random_numbers(started: Started, tmp_path: Path) -> None:
    program = tmp_path / "chance.py"
    program.write_text(
        "import random\n"
        "from waystation_core.ids import new_id\n"
        # What an id has besides the time.
        "print(random.random(), new_id()[-12:])\n"
    )
    told = [started.output(program=(str(program),), server=fork_server()) for _ in range(4)]
    for numbers in zip(*(text.split() for text in told), strict=True):
        assert len(set(numbers)) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it_and_its_exit_code_says_which(
    started: Started, number: signal.Signals
) -> None:
    process = started("stay")
    process.wait_for_output("here")
    assert process.running
    assert process.returncode is None
    with pytest.raises(ProcessFailed, match="still running"):
        process.wait(0.01)
    process.send(number)
    # An interrupt is an exception, which ends an interpreter by that signal.
    assert process.wait() == -number
    assert process.returncode == -number
    process.send(number)


def test_kill_takes_its_children_too(started: Started) -> None:
    process = started("family")
    child = int(process.wait_for_output(r"child (\d+)")[1])
    assert process.kill() == -signal.SIGKILL
    assert not living({child})


def test_many_threads_start_many_at_once(started: Started) -> None:
    def start(number: int) -> tuple[int, int]:
        process = started("exit", str(number))
        return process.pid, process.wait()

    with ThreadPoolExecutor(8) as threads:
        ended = list(threads.map(start, range(40)))
    assert [code for _, code in ended] == list(range(40))
    assert len({pid for pid, _ in ended}) == 40


def test_programs_that_it_does_not_know_are_refused(started: Started, tmp_path: Path) -> None:
    for program in (("-c", "pass"), ("-X", "dev", "x.py"), ()):
        with pytest.raises(ValueError, match="no option of Python but -m"):
            started(program=program or ("-",))
    with pytest.raises(ValueError, match="no program of this interpreter"):
        ChildProcess(["bash"], name="bash", log=tmp_path / "log", fork_server=started._server)
    with pytest.raises(FileNotFoundError):
        started("exit", "0", cwd=tmp_path / "nowhere")


def test_imports_that_fail_say_why(tmp_path: Path) -> None:
    (tmp_path / "faulty.py").write_text("raise LookupError('not today')")
    with pytest.raises(ForkServerEnded, match="not today"):
        ForkServer(["faulty"], path=[tmp_path])
    (tmp_path / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    with pytest.raises(ForkServerEnded, match="2 threads after the imports"):
        ForkServer(["threaded"], path=[tmp_path])


def test_the_death_of_the_fork_server_is_told(folder: Path, tmp_path: Path) -> None:
    server = ForkServer(["noted"], path=[folder])
    argv = [sys.executable, folder / "program.py", "stay"]
    with (tmp_path / "log").open("wb") as output:
        process = server.start(argv, environment=os.environ, cwd=tmp_path, output=output)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ForkServerEnded, match="is not known"):
            process.wait()
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ForkServerEnded, match="ended with -9"):
            server.start(argv, environment=os.environ, cwd=tmp_path, output=output)
    server.close()


PARENT = """
import sys, time
from pathlib import Path
from localservers.fork_server import ForkServer
from localservers.processes import ChildProcess
folder = Path(sys.argv[1])
server = ForkServer(["noted"], path=[folder])
argv = [sys.executable, folder / "program.py", "stay"]
child = ChildProcess(argv, name="child", log=Path(sys.argv[2]), fork_server=server)
child.wait_for_output("here")
print("both", server.pid, child.pid, flush=True)
if sys.argv[3] == "stays":
    time.sleep(600)
"""


@pytest.mark.parametrize("parent", ["stays", "leaves"])
def test_neither_it_nor_its_processes_outlive_their_parent(
    folder: Path, tmp_path: Path, parent: str
) -> None:
    process = ChildProcess(
        [sys.executable, "-c", PARENT, folder, tmp_path / "child.log", parent],
        name="parent",
        log=tmp_path / "parent.log",
    )
    found = process.wait_for_output(r"both (\d+) (\d+)")
    if parent == "stays":
        process.send(signal.SIGKILL)
    assert process.wait() == (-signal.SIGKILL if parent == "stays" else 0)
    both = set(map(int, found.groups()))
    wait_until(lambda: not living(both), timeout=30, what="the end of both")
    assert "Traceback" not in process.output()
