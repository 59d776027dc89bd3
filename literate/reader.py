"""The reader's loop: take the bodies out of a chapter's module, write them anew, be judged.

`holed` makes what `start` hands out, `verify` judges a file against the chapter's examples,
exercises and tests, `open_holes` finds those that could be left open unnoticed.
"""

from __future__ import annotations

import ast
import difflib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from literate.ledger import check_holes
from literate.mutants import run_tests
from literate.page import Page
from literate.problems import PressError, Problem
from literate.project import Project
from literate.run import press
from literate.source import Definition, Source


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a reader's file, and the paragraph that explains the first of it."""

    problems: list[Problem]
    tests: str
    """What the first failing test says; "" if all pass."""
    explained: str

    @property
    def passed(self) -> bool:
        """Whether the chapter accepts the file."""
        return not self.problems and not self.tests


def holed(page: Page, project: Project, holes: list[str] | None = None) -> str:
    """Return the chapter's module with the bodies of `holes` (default: the page's) taken out."""
    source = _source(page, project)
    if wrong := list(check_holes(page, source)):
        raise PressError(wrong)
    lines = list(source.lines)
    nodes = {name: source.function(name) for name in (page.holes if holes is None else holes)}
    for name, node in sorted(nodes.items(), key=lambda each: -each[1].lineno):
        first, above = _body(node, lines)
        indent = " " * (node.col_offset + 4)
        left = f'{indent}raise NotImplementedError("write {name}; {page.path} tells how")\n'
        lines[first - 1 : node.end_lineno] = [above + left]
    return "".join(lines)


def _source(page: Page, project: Project) -> Source:
    return Source.of(project.module_file(page.module), project)


def _body(node: Definition, lines: list[str]) -> tuple[int, str]:
    """Return the first line of a body below its docstring, and what stands before it there."""
    statements = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not statements:
        return (node.end_lineno or 0) + 1, ""
    first = statements[0].lineno
    above = lines[first - 1].encode()[: statements[0].col_offset].decode().strip()
    while not above and lines[first - 2].lstrip()[:1] in ("", "#"):
        first -= 1
    return first, f"{above}\n" if above else ""


def open_holes(page: Page, project: Project) -> list[str]:
    """Return the holes that the chapter would not notice if they alone were left open."""
    return [name for name in page.holes if _unnoticed(page, project, name)]


def _unnoticed(page: Page, project: Project, hole: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="hole-") as folder:
        file = Path(folder) / "module.py"
        file.write_text(holed(page, project, [hole]), encoding="utf-8")
        return judge(page, project, file).passed


def judge(page: Page, project: Project, file: Path) -> Verdict:
    """Run the chapter's examples, exercises and tests against the reader's `file`."""
    pressed = press(page, project, cache=False, instead=file.resolve(), mutants=False)
    problems = sorted(pressed.problems, key=lambda each: each.line)
    tests = ""
    test_file = project.test_file(project.slug(project.root / page.path))
    if not problems and test_file.is_file():
        text = file.read_text(encoding="utf-8")
        verdict = run_tests(page.module, text, test_file, project)
        tests = verdict.message or verdict.problem
    return Verdict(problems, tests, explanation(page, problems[0].line) if problems else "")


def explanation(page: Page, line: int) -> str:
    """Return the last paragraph above `line` in its section, with where it stands; "" for none."""
    at, heading = page.heading_above(line)
    last = line - 1
    while last > at and not _is_prose(page, last):
        last -= 1
    first = last
    while first > at + 1 and _is_prose(page, first - 1):
        first -= 1
    text = "\n".join(page.lines[first - 1 : last])
    return f"{page.path}:{first}, under “{heading}”:\n\n{text}" if last > at else ""


def _is_prose(page: Page, number: int) -> bool:
    """Say whether line `number` belongs to a paragraph."""
    text = page.lines[number - 1].strip()
    return page.is_text[number - 1] and bool(text) and not text.startswith(("///", "#"))


def difference(page: Page, project: Project, file: Path) -> str:
    """Return how the reader's file differs from ours, as a diff."""
    ours = _source(page, project)
    theirs = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(difflib.unified_diff(ours.lines, theirs, ours.path, str(file)))
