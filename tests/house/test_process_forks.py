"""No process forks itself: a fork of a process with gRPC threads crashes before it becomes another program.

`subprocess` forks only where it must run something in the copy (`preexec_fn`, another user); else it uses
vfork. `waystation_cli.embedded.launcher` and `localservers.processes.as_user` do such things by a program.

One program is there to fork: that of the fork server, which has nothing of gRPC but its modules.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "services",
    "tools",
    "tests",
    "examples",
    "scripts",
    "bench",
    "chaos",
    "scale",
    "mutants",
    "fuzz_input",
)
MAKE_IT_FORK = {"preexec_fn", "user", "group", "extra_groups"}
STARTS = {
    "Popen",
    "run",
    "call",
    "check_call",
    "check_output",
    "create_subprocess_exec",
    "create_subprocess_shell",
}
FORKS = {"os.fork", "os.forkpty", "pty.fork", "ProcessPoolExecutor", "futures.ProcessPoolExecutor"}
MODULES = {"multiprocessing"}


def forks_of(source: str) -> Iterator[str]:
    """What in a module makes its process fork."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=function, keywords=keywords):
                name = ast.unparse(function)
                if name.rpartition(".")[2] in STARTS:
                    yield from (word.arg for word in keywords if word.arg in MAKE_IT_FORK)
                if name in FORKS:
                    yield name
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield module


def test_no_process_forks_itself() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    found = {
        str(file.relative_to(ROOT)): found
        for file in files
        if (found := list(forks_of(file.read_text())))
    }
    assert len(files) > 500
    assert found == {"tools/localservers/src/localservers/fork_server_main.py": ["os.fork"]}


def test_each_way_to_fork_is_found() -> None:
    assert list(forks_of("subprocess.Popen(['x'], user='nobody')")) == ["user"]
    assert list(forks_of("subprocess.run(['x'], preexec_fn=f)")) == ["preexec_fn"]
    assert list(forks_of("os.fork()")) == ["os.fork"]
    assert list(forks_of("client.workflows.fork()")) == []
    assert list(forks_of("from multiprocessing import Process")) == ["multiprocessing"]
    assert list(forks_of("subprocess.Popen(['x'], start_new_session=True)")) == []
