"""What a handler team gets with `pip install waystation-worker`, in an empty environment."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = str(ROOT / ".venv/bin/uv")
ALLOWED = re.compile(
    r"waystation-(proto|worker)|grpcio(-[a-z-]+)?|protobuf|googleapis-common-protos"
    r"|typing-extensions"
)


def _run(*argv: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_sdk_needs_only_grpc_and_protobuf(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    for package in ("gen/python", "services/worker_sdk"):
        _run(
            *(str(ROOT / ".venv/bin/python"), "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(wheels), str(ROOT / package)),
        )
    python = tmp_path / "empty/bin/python"
    _run(UV, "venv", "--quiet", "--python", str(ROOT / ".venv/bin/python"), str(tmp_path / "empty"))
    _run(
        *(UV, "pip", "install", "--quiet", "--python", str(python)),
        *("--constraint", str(ROOT / "requirements.lock")),
        *map(str, wheels.glob("*.whl")),
    )
    installed = json.loads(_run(UV, "pip", "list", "--format=json", "--python", str(python)))
    names = {package["name"] for package in installed}
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
