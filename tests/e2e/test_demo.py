"""`make demo`, as a newcomer runs it, and that its exit code can be trusted."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from localservers.processes import wait_until

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "examples" / "insurance_claim" / "claims"


def run_demo(*arguments: str, mark: str) -> subprocess.CompletedProcess[str]:
    """Runs scripts/demo; every process it starts inherits the mark."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo", *arguments],
        env={**os.environ, "DEMO_MARK": mark},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def processes_with(mark: str) -> list[str]:
    """Names the processes whose environment holds the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DEMO_MARK={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            # It ended meanwhile, or is somebody else's.
            continue
    return found


def test_every_claim_ends_as_its_file_says_and_nothing_is_left_running(tmp_path: Path) -> None:
    demo = run_demo(mark=str(tmp_path))
    assert demo.returncode == 0, demo.stdout + demo.stderr
    names = sorted(path.stem for path in CLAIMS.glob("*.json"))
    assert f"{len(names)} of {len(names)} claims ended as their files say" in demo.stdout
    table = demo.stdout[demo.stdout.rindex("as told") :]
    for name in names:
        assert name in table
    assert "workflow.started" in demo.stdout[demo.stdout.index("The story of") :]
    assert processes_with(str(tmp_path)) == []
    assert "Next: `make demo STAY=1`" in demo.stdout


def test_it_stays_up_for_the_commands_that_it_prints_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    claims.mkdir()
    shutil.copy(CLAIMS / "car-windscreen.json", claims)
    output = tmp_path / "output"
    with output.open("w") as file:
        demo = subprocess.Popen(
            [sys.executable, ROOT / "scripts" / "demo", "--stay", "--claims", str(claims)],
            env={**os.environ, "DEMO_MARK": str(tmp_path)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "waystation run" in output.read_text(), timeout=120, what="the demo")
        commands = re.findall(r"^  (\S.*)$", output.read_text().partition("stays up")[2], re.M)
        typed = subprocess.run(
            ["bash", "-ec", "\n".join(commands)], cwd=ROOT, capture_output=True, text=True
        )
        assert typed.returncode == 0, typed.stdout + typed.stderr
        assert len(commands) == 6
        # What happens is seen.
        wait_until(
            lambda: output.read_text().count(" workflow_completion SUCCESS") >= 1,
            timeout=30,
            what="the lines of the engine",
        )
    finally:
        demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0
    assert output.read_text().endswith("\nstopping ...\n")
    assert processes_with(str(tmp_path)) == []


def test_a_claim_that_ends_otherwise_fails_the_demo(tmp_path: Path) -> None:
    for name in ("car-windscreen", "home-two-estimates"):
        content = json.loads((CLAIMS / f"{name}.json").read_text(encoding="utf-8"))
        if name == "car-windscreen":
            content["expected"]["outcome"] = "DECLINED"
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    demo = run_demo("--claims", str(tmp_path), mark=str(tmp_path))
    assert demo.returncode == 1
    assert "1 of 2 claims ended as their files say" in demo.stdout
    assert "car-windscreen: expected" in demo.stdout
    assert processes_with(str(tmp_path)) == []
