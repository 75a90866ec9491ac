"""What a handler team gets with `pip install waystation-worker`, in an empty environment."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = str(ROOT / ".venv/bin/uv")
ALLOWED = re.compile(
    r"waystation-(proto|tls|worker)|grpcio(-[a-z-]+)?|protobuf|googleapis-common-protos"
    r"|typing-extensions"
)


def _run(*argv: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the SDK and of all that its test kit needs of the house."""
    folder = tmp_path_factory.mktemp("wheels")
    packages = (
        "gen/python",
        "services/domain",
        "services/conversion",
        "services/tls",
        "services/worker_sdk",
    )
    for package in packages:
        _run(
            *(str(ROOT / ".venv/bin/python"), "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(folder), str(ROOT / package)),
        )
    return folder


def _installed(wheels: Path, folder: Path, what: str) -> tuple[Path, set[str]]:
    """A Python with nothing but that, and the names of its packages."""
    python = folder / "empty/bin/python"
    _run(UV, "venv", "--quiet", "--python", str(ROOT / ".venv/bin/python"), str(folder / "empty"))
    _run(
        *(UV, "pip", "install", "--quiet", "--python", str(python)),
        *("--constraint", str(ROOT / "requirements.lock"), "--find-links", str(wheels), what),
    )
    installed = json.loads(_run(UV, "pip", "list", "--format=json", "--python", str(python)))
    return python, {package["name"] for package in installed}


def test_the_sdk_needs_only_grpc_and_protobuf(wheels: Path, tmp_path: Path) -> None:
    python, names = _installed(wheels, tmp_path, "waystation-worker")
    assert {"waystation-worker", "waystation-proto", "grpcio", "protobuf"} <= names
    assert [name for name in sorted(names) if not ALLOWED.fullmatch(name)] == []
    # Outside the repository, so that nothing of it is found by chance.
    _run(
        *(str(python), "-W", "error", "-c"),
        "import waystation_worker; from waystation.v1 import workflow_pb2",
        cwd=tmp_path,
    )
    assert (
        next(tmp_path.glob("empty/lib/*/site-packages/waystation_worker")) / "py.typed"
    ).exists()
    for use, extra in (
        ("import waystation_worker.testing", "testing"),
        ("waystation_worker.Client()", "security"),
        ("waystation_worker.settings.read_settings(identity_keys=['A' * 43])", "security"),
    ):
        without = subprocess.run(
            (str(python), "-c", f"import waystation_worker.settings; {use}"),
            cwd=tmp_path,
            env={"WAYSTATION_TLS_CA": "ca.pem"} if "Client" in use else {},
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"pip install 'waystation-worker[{extra}]'" in without.stderr, use


def test_the_kit_brings_the_rules_and_nothing_of_the_servers(wheels: Path, tmp_path: Path) -> None:
    python, names = _installed(wheels, tmp_path, "waystation-worker[testing]")
    ours = {name for name in names if name.startswith("waystation-")}
    rules = {"waystation-domain", "waystation-conversion"}
    assert ours == {"waystation-worker", "waystation-proto", "waystation-tls", *rules}
    (tmp_path / "test_it.py").write_text(
        """
import pytest
from waystation_worker import HandlerService

service = HandlerService("s")

@service.task(events=["workflow.started"], workflow_types=["w"])
def first(ctx):
    ctx.complete({"done": True})

@pytest.fixture
def waystation_service():
    return service

@pytest.mark.asyncio
async def test_it(waystation_engine):
    run = waystation_engine.start("w")
    await run.until_ended()
    assert run.output == {"done": True}
"""
    )
    assert "1 passed" in _run(str(python), "-m", "pytest", "-q", "test_it.py", cwd=tmp_path)
