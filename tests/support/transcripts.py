"""Transcripts in Markdown: what a person types and what she should see, played and compared.

```console          typed in the first terminal; ```console 2 in the second
$ waystation list   a command; it must exit with 0 unless `$ echo $?` follows
hello-1  ...        what it prints; `...` is any text, on a line of its own any lines
```
```console
^C                  Ctrl-C for the command before, which is one that goes on until then
```
```console
$ waystation edit   a command that asks; the question ends what it prints
> y                 the answer
```
```console 2        without a command: what the one that goes on there has printed by now, somewhere
registered ...
```
```python ~/a.py    a file with this content
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.terminal import Terminal

_FENCE = re.compile(r"^```(\w*) ?(\S*)$")
INTERRUPT = "^C"
ANSWER = "> "
COMMAND_SECONDS = 120


@dataclass
class Step:
    """One thing to do, with the line of the document that says so."""

    line: int
    terminal: str
    """Empty for a file."""
    typed: str
    """A command, INTERRUPT, ANSWER with an answer, or a file's path; empty where only the output is looked at."""
    expected: list[str] = field(default_factory=list)
    """What should be seen; or the file's content."""
    goes_on: bool = False
    """Whether the command runs until it is interrupted, or asks something."""
    may_fail: bool = False


def read_steps(document: str) -> list[Step]:
    """The steps of a transcript in order. Raises ValueError for a block that cannot be played."""
    steps: list[Step] = []
    kind = argument = None
    of_block: Step | None = None
    for number, line in enumerate(document.splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence and kind is None:
            kind, argument, of_block = fence[1], fence[2] or "1", None
            if kind == "python":
                steps.append(Step(number, "", argument))
            elif kind != "console":
                raise ValueError(f"line {number}: a block of kind {kind!r} can't be played")
        elif fence:
            kind = None
        elif kind == "console":
            if line.startswith(("$ ", ANSWER)) or line == INTERRUPT:
                of_block = Step(number, argument or "", line.removeprefix("$ "))
                steps.append(of_block)
            else:
                if of_block is None:
                    of_block = Step(number, argument or "", "")
                    steps.append(of_block)
                of_block.expected.append(line)
        elif kind == "python":
            steps[-1].expected.append(line)
    _look_ahead(steps)
    return steps


def _look_ahead(steps: list[Step]) -> None:
    following: dict[str, str] = {}
    for step in reversed(steps):
        if step.terminal and step.typed:
            after = following.get(step.terminal, "")
            step.goes_on = (after == INTERRUPT and step.typed != INTERRUPT) or after.startswith(
                ANSWER
            )
            step.may_fail = after == "echo $?"
            following[step.terminal] = step.typed


def typed_characters(steps: list[Step]) -> int:
    """How many keys a person presses for them."""
    return sum(
        len(step.typed.removeprefix(ANSWER)) + 1
        if step.terminal
        else sum(len(line) + 1 for line in step.expected)
        for step in steps
    )


class Player:
    """Plays steps in as many terminals as they name."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], written: Callable[[str], str] = str
    ) -> None:
        """`written` turns the document's words into those of this run (ports, for instance)."""
        self._folder = folder
        self._environment = environment
        self._written = written
        self._terminals: dict[str, Terminal] = {}

    def play(self, step: Step) -> None:
        """Does one step. Raises AssertionError, with both texts, where something else is seen."""
        if not step.terminal:
            path = step.typed.replace("~", self._environment["HOME"], 1)
            content = "".join(f"{line}\n" for line in step.expected)
            Path(path).write_text(self._written(content), encoding="utf-8")
            return
        terminal = self._terminal(step.terminal)
        expected = [self._written(line) for line in step.expected]
        if not step.typed:
            self._await_output(terminal, step, ["...", *expected, "..."])
            return
        if step.typed == INTERRUPT:
            terminal.interrupt()
        else:
            terminal.type(self._written(step.typed.removeprefix(ANSWER)))
        if step.goes_on:
            self._await_output(terminal, step, [*expected, "..."])
            return
        code = terminal.wait_prompt(COMMAND_SECONDS)
        problem = ""
        if code is None:
            problem = f"still runs after {COMMAND_SECONDS} s"
        elif code and not step.may_fail and step.typed != INTERRUPT:
            problem = f"exit code {code}"
        elif expected and not matches(expected, terminal.output):
            problem = "something else is seen"
        if problem:
            raise AssertionError(_told(step, problem, expected, terminal.output))

    def close(self) -> None:
        """Closes every terminal, the last first."""
        while self._terminals:
            self._terminals.popitem()[1].close()

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self._folder, self._environment)
        return self._terminals[name]

    def _await_output(self, terminal: Terminal, step: Step, expected: list[str]) -> None:
        deadline = time.monotonic() + COMMAND_SECONDS
        while not matches(expected, terminal.output):
            if time.monotonic() > deadline or terminal.wait_prompt(0) is not None:
                raise AssertionError(_told(step, "it ended or hangs", expected, terminal.output))
            terminal.wait_change(1)


def matches(expected: list[str], seen: str) -> bool:
    """Whether the text is as expected, but for blank lines and the width of gaps."""
    pattern = ""
    for line in expected:
        words = " ".join(line.split())
        if words == "...":
            pattern += r"(?:.*\n)*?"
        elif words:
            pattern += ".*".join(re.escape(part) for part in words.split("...")) + r"\n"
    lines = [" ".join(line.split()) for line in seen.splitlines()]
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines if line)) is not None


def _told(step: Step, problem: str, expected: list[str], seen: str) -> str:
    return "\n".join(
        [
            f"line {step.line}: $ {step.typed}: {problem}",
            "--- expected",
            *expected,
            "--- seen",
            *seen.splitlines(),
        ]
    )
