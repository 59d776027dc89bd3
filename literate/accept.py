"""Accepting outputs: a page rewritten with what its examples do now.

What the author left open with `...` stays as it is wherever it still matches.
"""

from __future__ import annotations

import difflib
import doctest
import io
from pathlib import Path

from literate import doctests
from literate.doctests import Outcome
from literate.pressed import Pressed
from literate.project import Project

ELISION = "..."


def merged(want: str, got: str) -> str:
    """Return `got` as an expected output, with the lines of `want` whose ellipses still match."""
    wanted = want.splitlines(keepends=True)
    came = [line if line.strip() else "<BLANKLINE>\n" for line in got.splitlines(keepends=True)]
    elided = [line for line in wanted if ELISION in line]
    result: list[str] = []
    for line in came:
        fits = None
        if line not in wanted:
            fits = next((each for each in elided if _matches(each, line)), None)
        if fits is not None:
            del elided[: elided.index(fits) + 1]
        # Below a prompt, dots would continue the statement.
        result.append(line if fits is None or (not result and fits.startswith(ELISION)) else fits)
    return "".join(result)


def _matches(want: str, got: str) -> bool:
    return doctest.OutputChecker().check_output(want, got, doctests.FLAGS)


def rewritten(pressed: Pressed) -> str:
    """Return the page's text with the output of each failing example replaced."""
    lines = io.StringIO(pressed.page.text).readlines()
    for outcome in reversed(pressed.examples):
        if not outcome.ok:
            first = outcome.line - 1 + outcome.source.count("\n")
            last = first + outcome.want.count("\n")
            indent = lines[outcome.line - 1].partition(">>>")[0]
            lines[first:last] = [
                indent + line for line in merged(outcome.want, _got(outcome)).splitlines(True)
            ]
    return "".join(lines)


def _got(outcome: Outcome) -> str:
    """Return what a page can say of an outcome: doctest takes an exception or an output."""
    _, raised, message = outcome.got.rpartition(doctests.TRACEBACK)
    got = raised + message if outcome.error else outcome.got
    return got if got.endswith("\n") or not got else got + "\n"


def proposal(pressed: Pressed) -> str:
    """Return the change that accepting would make, as a diff; "" for none."""
    now = rewritten(pressed).splitlines(keepends=True)
    before = pressed.page.text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, now, pressed.page.path, "what it does now"))


def accept(pressed: Pressed, project: Project) -> Path:
    """Rewrite the page."""
    file = project.root / pressed.page.path
    line_end = "\r\n" if b"\r\n" in file.read_bytes() else "\n"
    file.write_text(rewritten(pressed), encoding="utf-8", newline=line_end)
    return file
