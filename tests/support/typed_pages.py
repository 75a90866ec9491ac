"""Programs in Markdown: their files written out, their commands typed, and run as the page runs them.

```go main.go       a file with this content, in the program's folder
```sh               lines that are typed there, in the page's order; each must exit with 0
```sh run           lines of which each runs the program: `./parcels serve`, `./parcels wait parcel-1`
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
ROOT = Path(__file__).parents[2]
TYPING_SECONDS = 1500


class TypedPage:
    """One page, typed in a folder."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.folder = folder
        self._blocks = [match.groups() for match in _BLOCK.finditer(page.read_text())]
        runs = "".join(text for kind, name, text in self._blocks if (kind, name) == ("sh", "run"))
        self._runs = [shlex.split(line) for line in runs.splitlines()]

    def type(self) -> None:
        """Writes the files and types the lines, in order. Raises AssertionError where one fails."""
        for kind, name, text in self._blocks:
            if kind == "sh" and name is None:
                self._shell(text)
            elif kind != "sh" and name is not None:
                file = self.folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)

    def command(self, verb: str, *arguments: str) -> list[str]:
        """The page's command of that verb, with these arguments instead of those after it."""
        for words in self._runs:
            if verb in words:
                return [*words[: words.index(verb) + 1], *arguments]
        raise LookupError(f"the page runs nothing with {verb!r}")

    def _shell(self, lines: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],
            cwd=self.folder,
            env={**os.environ, "WAYSTATION": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TYPING_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
