"""Each public name of the SDK and of the test kit stands in some page."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, is_typeddict

import pytest

import waystation_worker
from waystation_worker import testing

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "services" / "worker_sdk" / "README.md"]
OF_DICT_AND_LIST = {*dir(dict), *dir(list)}
"""What a DataObject, a DataList and a dict of conditions have because they are such."""


def names() -> list[str]:
    """`Client`, `Client.start`, ...: public names, and public members of public classes."""
    found: list[str] = []
    for module in (waystation_worker, testing):
        for name in module.__all__:
            found.append(name)
            value: Any = getattr(module, name)
            if inspect.isclass(value):
                inherited = {*dir(BaseException)} if issubclass(value, BaseException) else set()
                if name.startswith("Data") or is_typeddict(value):
                    inherited |= OF_DICT_AND_LIST
                members = {*dir(value), *inspect.get_annotations(value)} - inherited
                members = {one for one in members if not one.startswith("_")}
                found += [f"{name}.{member}" for member in sorted(members)]
    return found


@pytest.fixture(scope="module")
def words() -> set[str]:
    return {
        word
        for page in PAGES
        # In code, whether a block or a word of a sentence.
        for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL)
        for word in re.findall(r"[A-Za-z_]\w*", code)
    }


def test_each_public_name_stands_in_some_page(words: set[str]) -> None:
    assert [name for name in names() if name.rpartition(".")[2] not in words] == []
