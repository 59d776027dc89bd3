"""A page as data: its front matter and its blocks, in order. `grammar` reads one from text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)$")
"""The line that opens a fenced block."""


def closing(marks: str) -> re.Pattern[str]:
    """Return what the line that closes the fence opened by `marks` looks like."""
    return re.compile(rf"^[ \t]*{marks[0]}{{{len(marks)},}}[ \t]*$")


@dataclass(frozen=True)
class Fence:
    """A fenced block: `line` is its opening line, `text` its content without indentation."""

    line: int
    info: str
    text: str
    indent: str = ""

    @property
    def first(self) -> int:
        """The page's line of the first line of `text`."""
        return self.line + 1


@dataclass(frozen=True)
class Prose:
    """Markdown to pass on as it is."""

    line: int
    text: str


@dataclass(frozen=True)
class SourceBlock:
    """Parts of the page's module, shown for the first time and executed."""

    line: int
    names: tuple[str, ...]
    indent: str = ""


@dataclass(frozen=True)
class Quote:
    """A symbol of any module, looked at again."""

    line: int
    name: str
    indent: str = ""


@dataclass(frozen=True)
class Example:
    """A doctest, executed in the page's module."""

    line: int
    fence: Fence
    requires: tuple[str, ...] = ()
    limit: float | None = None

    @property
    def indent(self) -> str:
        """How far the block is indented in the page."""
        return self.fence.indent


@dataclass(frozen=True)
class Exercise:
    """A task: `check` fails on `starter` and passes on `solution`."""

    line: int
    title: str
    prose: str
    starter: Fence
    check: Fence
    hint: Fence
    solution: Fence


@dataclass(frozen=True)
class Break:
    """A one-line mutation of `symbol`, the test that catches it, and a look at what it does."""

    line: int
    title: str
    prose: str
    diff: Fence
    symbol: str
    minus: str
    plus: str
    test: str
    look: Example | None


Block = Prose | SourceBlock | Quote | Example | Exercise | Break


@dataclass(frozen=True)
class Page:
    """A page: where it is, its front matter, its blocks in order."""

    path: str
    text: str
    front: dict[str, Any]
    blocks: tuple[Block, ...]
    lines: tuple[str, ...] = field(repr=False)
    body: int = 1
    """The number of the first line after the front matter."""

    @property
    def title(self) -> str:
        """The page's title."""
        return str(self.front.get("title", self.path))

    @property
    def module(self) -> str:
        """The dotted name of the module that the page walks; "" if it walks none."""
        return str(self.front.get("module", ""))

    @property
    def holes(self) -> list[str]:
        """The symbols whose bodies a reader may write anew."""
        return [str(name) for name in self.front.get("holes", [])]

    @property
    def requires(self) -> tuple[str, ...]:
        """What the whole page needs that a machine can lack."""
        return names(str(self.front.get("requires", "")))

    def heading_above(self, line: int) -> tuple[int, str]:
        """Return line and text of the last heading above `line` (the title if there is none)."""
        found = 1, self.title
        for number in range(1, line):
            text = self.lines[number - 1]
            if self.is_text[number - 1] and re.match(r"#{1,6} ", text):
                found = number, text.lstrip("# ").strip()
        return found

    @cached_property
    def is_text(self) -> list[bool]:
        """For each line, whether it stands outside the front matter and outside every fence."""
        found: list[bool] = []
        ends: re.Pattern[str] | None = None
        for number, line in enumerate(self.lines, 1):
            opens = None if ends else FENCE.match(line)
            found.append(not ends and not opens and number >= self.body)
            if opens:
                ends = closing(opens["marks"])
            elif ends and ends.match(line):
                ends = None
        return found


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
