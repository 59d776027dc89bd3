"""Break it: a module with one line changed, and the test that must catch it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from literate.page import Break
from literate.problems import PressError, Problem
from literate.process import end, send, start
from literate.project import Project
from literate.source import Part, Source, UnknownSymbol, parse

LIMIT = 60.0
"""Seconds that the tests of one page's mutants may take together."""


@dataclass(frozen=True)
class Mutant:
    """A module's text with line `at` of `part` (0-based, as the part is shown) replaced."""

    part: Part
    at: int
    line: str
    piece: tuple[int, str]
    """What to execute for it, with its first line: the definition, whole, that holds `part`."""
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
        what = f"the mutation does not apply: {message}"
        return PressError([Problem(page, block.diff.line, what)])

    try:
        part = source.find(block.symbol)[0]
    except UnknownSymbol as error:
        raise wrong(str(error)) from None
    lines = part.text.splitlines()
    places = [i for i, line in enumerate(lines) if line.strip() == block.minus.strip()]
    if len(places) != 1:
        count = f"{len(places)} lines" if places else "no line"
        raise wrong(f"{count} of {block.symbol} read {block.minus.strip()!r}")
    try:
        return _changed(source, part, places[0], block)
    except SyntaxError as error:
        raise wrong(f"line {error.lineno}: {error.msg}") from None


def _changed(source: Source, part: Part, at: int, block: Break) -> Mutant:
    """Return the module with one line changed; raise SyntaxError if it is none then."""
    changed = list(source.lines)
    old = changed[part.start - 1 + at]
    indent = old[: len(old) - len(old.lstrip())]
    line = indent + block.plus.strip() if block.plus.strip() else ""
    changed[part.start - 1 + at] = f"{line}\n" if line else ""
    text = "".join(changed)
    parse(text)
    whole = next(each for each in source.parts if each.first <= part.start <= each.last)
    piece = whole.start, "".join(changed[whole.start - 1 : whole.end])
    return Mutant(part, at, line, piece, text, block.test)


def run_mutants(
    mutants: list[Mutant], module: str, original: str, test_file: Path, project: Project
) -> list[Verdict]:
    """Run each mutant's test against it; a verdict without a problem means that it was caught.

    A test that fails against the `original` too catches nothing.
    """
    tests = [_node(mutant.test, test_file, project) for mutant in mutants]
    once = list(dict.fromkeys(tests))
    tries = [(original, test) for test in once]
    tries += [(mutant.text, test) for mutant, test in zip(mutants, tests, strict=True)]
    answer = _ask(tries, module, project)
    if not answer:
        return [Verdict(problem=f"its test was still running after {LIMIT:g} s")] * len(mutants)
    sound = dict(zip(once, answer, strict=False))
    judged = zip(tests, answer[len(once) :], strict=True)
    return [_caught(sound[test], verdict, test.rpartition("/")[2]) for test, verdict in judged]


def _caught(sound: Verdict, verdict: Verdict, test: str) -> Verdict:
    """Return `verdict`, with what is wrong with its test: `sound` is what it says unmutated."""
    if sound.problem:
        return sound
    if not sound.passed:
        return replace(sound, problem=f"the test {test} fails without the mutation too")
    if verdict.passed:
        return replace(verdict, problem=f"no test catches the mutation: {test} passes")
    return verdict


def run_tests(module: str, text: str, test_file: Path, project: Project) -> Verdict:
    """Run a chapter's whole test file with `text` in the place of its module."""
    answer = _ask([(text, str(test_file))], module, project)
    return answer[0] if answer else Verdict(problem=f"still running after {LIMIT:g} s: stopped")


def _node(test: str, test_file: Path, project: Project) -> str:
    file, _, name = test.partition("::")
    return f"{project.root / file}::{name}" if file.endswith(".py") else f"{test_file}::{test}"


def _ask(tries: list[tuple[str, str]], module: str, project: Project) -> list[Verdict]:
    """Run each test with a text in the place of the module; [] if they do not end in time."""
    job = {
        "module": module,
        "file": str(project.module_file(module)),
        "root": str(project.root),
        "mutants": tries,
    }
    # A file and no pipe: nobody reads while the tests run, and a pipe may be too small.
    with tempfile.TemporaryFile() as answers:
        output, folder = subprocess.DEVNULL, str(project.root)
        process = start("literate.tester", answers.fileno(), folder, output)
        try:
            send(process, job)
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return []
        finally:
            end(process)
        answers.seek(0)
        return [Verdict(**each) for each in json.loads(answers.read() or "[]")]
