"""Accepting outputs: a page rewritten with what its examples do now.

What the author left open with `...` stays as it is wherever it still matches.
"""

from __future__ import annotations

import difflib
import doctest
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
    matcher = difflib.SequenceMatcher(None, wanted, came, autojunk=False)
    result: list[str] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "replace":
            result += _elided(wanted[i:j], came[k:m])
        else:
            result += came[k:m]
    return "".join(result)


def _elided(wanted: list[str], came: list[str]) -> list[str]:
    """Choose, line by line, the author's elided line where it matches what came."""
    result: list[str] = []
    left = list(wanted)
    for line in came:
        fits = next((each for each in left if ELISION in each and _matches(each, line)), None)
        if fits is not None:
            del left[: left.index(fits) + 1]
        result.append(fits or line)
    return result


def _matches(want: str, got: str) -> bool:
    return doctest.OutputChecker().check_output(want, got, doctests.FLAGS)


def rewritten(pressed: Pressed) -> str:
    """Return the page's text with the output of each failing example replaced."""
    lines = pressed.page.text.splitlines(keepends=True)
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
    return outcome.got if outcome.got.endswith("\n") or not outcome.got else outcome.got + "\n"


def proposal(pressed: Pressed) -> str:
    """Return the change that accepting would make, as a diff; "" for none."""
    now = rewritten(pressed).splitlines(keepends=True)
    before = pressed.page.text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, now, pressed.page.path, "what it does now"))


def accept(pressed: Pressed, project: Project) -> Path:
    """Rewrite the page."""
    file = project.root / pressed.page.path
    file.write_text(rewritten(pressed), encoding="utf-8")
    return file
