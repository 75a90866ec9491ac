"""What the command line reads and writes, whatever the locale, the disk and whoever reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from cli.fake_api import FakeApi

PROGRAM = [sys.executable, "-m", "waystation_cli"]
OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def environment(api: FakeApi, **more: str) -> dict[str, str]:
    return {**os.environ, "WAYSTATION_ADDRESS": api.address, "http_proxy": "", **more}


@pytest.mark.parametrize(
    "locale", [OLD_LOCALE, {"PYTHONIOENCODING": "latin-1"}], ids=["C", "Latin"]
)
def test_json_is_the_same_in_every_locale(api: FakeApi, locale: dict[str, str]) -> None:
    given = {"text": "K\u00e4fer \u4e16 \U0001f41e"}
    started = subprocess.run(
        [*PROGRAM, "start", "claim", "--data", "-", "--json"],
        input=json.dumps(given, ensure_ascii=False).encode(),
        capture_output=True,
        env=environment(api, **locale),
        check=True,
    )
    assert api.requests["StartWorkflow"].data["text"] == given["text"]
    assert json.loads(started.stdout.decode())["context"]["data"] == given


def test_standard_input_that_is_not_text_is_a_usage_error(api: FakeApi) -> None:
    told = subprocess.run(
        [*PROGRAM, "start", "claim", "--data", "-"],
        input=b'{"a": "\xff"}',
        capture_output=True,
        env=environment(api),
    )
    assert told.returncode == 2
    assert b"standard input: not UTF-8 text" in told.stderr


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"]], ids=" ".join)
@pytest.mark.parametrize("full", [True, False], ids=["disk", "pipe"])
def test_output_that_can_not_be_written_is_one_line(
    api: FakeApi, words: list[str], full: bool
) -> None:
    if full:
        target = os.open("/dev/full", os.O_WRONLY)
    else:
        unread, target = os.pipe()
        os.close(unread)
    try:
        told = subprocess.run(
            [*PROGRAM, *words],
            stdout=target,
            stderr=subprocess.PIPE,
            env=environment(api),
            text=True,
        )
    finally:
        os.close(target)
    said = "Error: the output cannot be written: No space left on device.\n" if full else ""
    assert (told.returncode, told.stderr) == (9 if full else 141, said)
