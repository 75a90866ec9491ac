"""A tree as lines: two columns a level, and lines that may be longer than the terminal.

Causation goes deep (an event, its task, the event that it raised, ...), so a level must be narrow
and depth must cost nothing: beyond `MOST_LEVELS` the lines stay where they are and say how deep
they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.text import Text

MOST_LEVELS = 40


@dataclass
class Node:
    """One line and what hangs below it."""

    line: Text
    children: list[Node] = field(default_factory=list)
    branch: str = ""
    """What it is a branch of; equal branches of one node can be folded into one line."""
    state: str = ""
    """How a branch stands."""

    def add(self, line: Text) -> Node:
        """Hangs a new line below this one, after those that are there."""
        child = Node(line)
        self.children.append(child)
        return child


def folded(root: Node, most: int) -> Node:
    """The same tree, with more than `most` equal branches of one node as one line that counts them by their
    states; those that did not go well stay."""
    whole = Node(root.line)
    waiting = [(root, whole)]
    while waiting:
        node, copy = waiting.pop()
        counts = Counter(child.branch for child in node.children if child.branch)
        told = set()
        for child in node.children:
            if counts[child.branch] > most:
                if child.branch not in told:
                    told.add(child.branch)
                    copy.children.append(Node(_counted(child.branch, node.children)))
                if child.state in _WELL:
                    continue
            kept = Node(child.line, [], child.branch, child.state)
            copy.children.append(kept)
            waiting.append((child, kept))
    return whole


_WELL = ("done", "open")


def _counted(branch: str, children: Sequence[Node]) -> Text:
    states = Counter(child.state for child in children if child.branch == branch)
    number = sum(states.values())
    line = Text.assemble((branch, "bold"), f" {states['done']}/{number} done")
    for state, style in (("failed", "red"), ("open", "cyan"), ("unhandled", "yellow")):
        if states[state]:
            line.append(f", {states[state]} {state}", style=style)
    return line


def lines(root: Node) -> Iterator[Text]:
    """The lines from top to bottom, the root's first."""
    yield root.line
    # A stack instead of recursion: a chain may be thousands of events long.
    waiting = [(child, "", child is root.children[-1], 1) for child in reversed(root.children)]
    while waiting:
        node, guide, last, depth = waiting.pop()
        if depth < MOST_LEVELS:
            own, below = ("└ ", "  ") if last else ("├ ", "│ ")
            yield Text.assemble((guide + own, "dim"), node.line)
            guide += below
        else:
            yield Text.assemble((f"{guide}({depth} deep) ", "dim"), node.line)
        waiting.extend(
            (child, guide, child is node.children[-1], depth + 1)
            for child in reversed(node.children)
        )
