"""Break it: a module with one line changed, and the test that must catch it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from literate.page import Break
from literate.problems import PressError, Problem
from literate.project import Project
from literate.source import Part, Source, UnknownSymbol

if TYPE_CHECKING:
    pass

LIMIT = 60.0
"""Seconds that the tests of one page's mutants may take together."""


@dataclass(frozen=True)
class Mutant:
    """A module's text with line `at` of `part` (0-based, as the part is shown) replaced."""

    part: Part
    at: int
    line: str
    piece: str
    text: str
    test: str


@dataclass
class Verdict:
    """What the named test said: its message, or what is wrong with the mutant."""

    message: str = ""
    """The first failing test and what it said."""
    passed: bool = False
    problem: str = ""
    """Why nothing was tested."""
    files: list[str] = field(default_factory=list[str])


def mutate(source: Source, block: Break, page: str) -> Mutant:
    """Apply a break block to a module; raise PressError where it does not apply."""

    def wrong(message: str) -> PressError:
        return PressError(
            [Problem(page, block.diff.line, f"the mutation does not apply: {message}")]
        )

    try:
        part = source.find(block.symbol)[0]
    except UnknownSymbol as error:
        raise wrong(str(error)) from None
    lines = part.text.splitlines()
    places = [i for i, line in enumerate(lines) if line.strip() == block.minus.strip()]
    if len(places) != 1:
        count = f"{len(places)} lines" if places else "no line"
        raise wrong(f"{count} of {block.symbol} read {block.minus.strip()!r}")
    at = places[0]
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    line = indent + block.plus.strip() if block.plus.strip() else ""
    piece = "".join(
        f"{each}\n" for each in [*lines[:at], *([line] if line else []), *lines[at + 1 :]]
    )
    start = part.start - 1
    before, after = source.lines[:start], source.lines[start + len(lines) :]
    text = "".join([*before, piece, *after])
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise wrong(f"line {error.lineno}: {error.msg}") from None
    return Mutant(part, at, line, piece, text, block.test)


def run_mutants(
    mutants: list[Mutant], module: str, test_file: Path, project: Project, env: dict[str, str]
) -> list[Verdict]:
    """Run each mutant's test against it; a verdict without a problem means that it was caught."""
    tests = [_node(mutant.test, test_file, project) for mutant in mutants]
    job = {
        "module": module,
        "file": str(project.module_file(module)),
        "root": str(project.root),
        "mutants": [[m.text, test] for m, test in zip(mutants, tests, strict=True)],
    }
    answer = _ask(job, project, env)
    if not answer:
        return [Verdict(problem=f"its test was still running after {LIMIT:g} s")] * len(mutants)
    verdicts = [Verdict(**each) for each in answer]
    for verdict, test in zip(verdicts, tests, strict=True):
        if verdict.passed:
            verdict.problem = f"no test catches the mutation: {test.rpartition('/')[2]} passes"
    return verdicts


def run_tests(
    module: str, text: str, test_file: Path, project: Project, env: dict[str, str]
) -> Verdict:
    """Run a chapter's whole test file with `text` in the place of its module."""
    job = {
        "module": module,
        "file": str(project.module_file(module)),
        "root": str(project.root),
        "mutants": [[text, str(test_file)]],
    }
    answer = _ask(job, project, env)
    return Verdict(**answer[0]) if answer else Verdict(problem="the tests did not end")


def _node(test: str, test_file: Path, project: Project) -> str:
    file, _, name = test.rpartition("::")
    return f"{project.root / file if file else test_file}::{name}"


def _ask(job: dict[str, Any], project: Project, env: dict[str, str]) -> list[dict[str, Any]]:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "literate.tester", str(writer)],
        cwd=project.root,
        env=env | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[writer],
    )
    os.close(writer)
    try:
        process.communicate(json.dumps(job).encode(), timeout=LIMIT)
        with open(reader, encoding="utf-8", closefd=False) as stream:
            return json.loads(stream.read() or "[]")
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return []
    finally:
        os.close(reader)
