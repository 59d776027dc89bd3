"""What can be wrong with a page, said so that an editor can jump to it."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend: a place (path relative to the project) and what is wrong there."""

    path: str
    line: int
    message: str
    detail: str = ""

    def __str__(self) -> str:
        head = f"{self.path}:{self.line}: {self.message}"
        return head + ("\n" + textwrap.indent(self.detail, "    ") if self.detail else "")


def counted(count: int, noun: str) -> str:
    """Return `count` and its noun, in the plural where it has to be."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class PressError(Exception):
    """Pages cannot be pressed; `problems` says why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


LONGEST = 100
"""Lines of an output that a report shows."""


def mismatch(want: str, got: str) -> str:
    """Show what was expected and what came, with a diff where either has several lines."""
    shown = f"Expected:\n{_indent(want)}\nGot:\n{_indent(got)}"
    longer = max(want.count("\n"), got.count("\n"))
    if longer < 2 or longer > LONGEST:
        return shown
    diff = difflib.ndiff(want.splitlines(), got.splitlines())
    return f"{shown}\nDifference:\n{_indent(chr(10).join(line.rstrip() for line in diff))}"


def _indent(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    if len(lines) > LONGEST:
        lines[LONGEST:] = [f"({counted(len(lines) - LONGEST, 'more line')})"]
    return textwrap.indent("\n".join(lines) or "(nothing)", "    ")
