"""The reader's loop: take the bodies out of a chapter's module, write them anew, be judged.

`holed` makes what `start` hands out, `verify` judges a file against the chapter's examples,
exercises and tests, `filled` checks that no hole can be left open unnoticed.
"""

from __future__ import annotations

import ast
import difflib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from literate.mutants import run_tests
from literate.page import Page
from literate.problems import Problem
from literate.process import environment
from literate.project import Project
from literate.run import press
from literate.source import DEFINITIONS, Definition, Source, UnknownSymbol


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
    lines = list(source.lines)
    nodes = [_definition(source, name) for name in (page.holes if holes is None else holes)]
    for name, node in sorted(nodes, key=lambda each: -each[1].lineno):
        first, last = _body(node)
        indent = " " * (node.col_offset + 4)
        left = f'{indent}raise NotImplementedError("write {name}; {page.path} tells how")\n'
        lines[first - 1 : last] = [left]
    return "".join(lines)


def _source(page: Page, project: Project) -> Source:
    file = project.module_file(page.module)
    return Source(file.read_text(encoding="utf-8"), project.relative(file))


def _definition(source: Source, name: str) -> tuple[str, Definition]:
    """Return the function or method that a hole names; raise UnknownSymbol if there is none."""
    body: list[ast.stmt] = source.tree.body
    found: Definition | None = None
    for word in name.split("."):
        named = (node for node in body if isinstance(node, DEFINITIONS) and node.name == word)
        found = next(named, None)
        body = found.body if found else []
    if found is None or isinstance(found, ast.ClassDef):
        raise UnknownSymbol(f"{source.path} has no function {name!r} to take the body out of")
    return name, found


def _body(node: Definition) -> tuple[int, int]:
    """Return the first and the last line of a body, its docstring left in place."""
    statements = node.body[1:] if ast.get_docstring(node) is not None else node.body
    first = statements[0].lineno if statements else (node.end_lineno or 0) + 1
    return first, node.end_lineno or 0


def check_holes(page: Page, project: Project) -> Iterator[Problem]:
    """Report holes that name nothing."""
    line = next((i for i, text in enumerate(page.lines, 1) if text.startswith("holes:")), 1)
    source = _source(page, project) if page.holes else None
    for name in page.holes:
        try:
            assert source is not None
            _definition(source, name)
        except UnknownSymbol as error:
            yield Problem(page.path, line, str(error))


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
        verdict = run_tests(page.module, text, test_file, project, environment())
        tests = verdict.message or verdict.problem
    return Verdict(problems, tests, explanation(page, problems[0].line) if problems else "")


def explanation(page: Page, line: int) -> str:
    """Return the last paragraph above `line`, under its heading, with where it stands."""
    at, heading = page.heading_above(line)
    number = line - 1
    while number > at and not _is_prose(page, number):
        number -= 1
    last = number
    while number > at and page.lines[number - 1].strip():
        number -= 1
    text = "\n".join(page.lines[number:last])
    return f"{page.path}:{number + 1}, under “{heading}”:\n\n{text}"


def _is_prose(page: Page, number: int) -> bool:
    """Say whether line `number` is the end of a paragraph, outside every fence."""
    fences = sum(text.lstrip().startswith(("```", "~~~")) for text in page.lines[: number - 1])
    text = page.lines[number - 1].strip()
    return bool(text) and fences % 2 == 0 and not text.startswith(("```", "~~~", "///", "#"))


def difference(page: Page, project: Project, file: Path) -> str:
    """Return how the reader's file differs from ours, as a diff."""
    ours = _source(page, project)
    theirs = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(difflib.unified_diff(ours.lines, theirs, ours.path, str(file)))
