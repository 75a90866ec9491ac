"""A tree as lines: two columns a level, and lines that may be longer than the terminal.

Causation goes deep (an event, its task, the event that it raised, ...), so a level must be narrow
and depth must cost nothing: beyond `MOST_LEVELS` the lines stay where they are and say how deep
they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.text import Text

MOST_LEVELS = 40


@dataclass
class Node:
    """One line and what hangs below it."""

    line: Text
    children: list[Node] = field(default_factory=list)

    def add(self, line: Text) -> Node:
        """Hangs a new line below this one, after those that are there."""
        child = Node(line)
        self.children.append(child)
        return child


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
