"""Pressing: read a page, take it through its module, run it, break it; many pages at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from literate.grammar import parse
from literate.kept import Kept
from literate.ledger import Entry, enter, pairing
from literate.mutants import Mutant, mutate, run_mutants
from literate.page import Break, Page
from literate.pressed import Pressed
from literate.problems import PressError, Problem
from literate.process import Process, environment
from literate.project import Project
from literate.steps import steps


def read(path: Path, project: Project, *, module_needed: bool = True) -> Page:
    """Read the page at `path`; raise PressError with what is wrong with it."""
    text = path.read_text(encoding="utf-8")
    return parse(text, project.relative(path), module_needed=module_needed)


def press_all(
    paths: Iterable[Path],
    project: Project,
    *,
    cache: bool = True,
    whole: bool = False,
    prose: Iterable[Path] = (),
) -> list[Pressed]:
    """Press pages, as many at a time as there are processors.

    `whole` also checks that pages and modules pair up; `prose` are pages that walk no module.
    """
    problems: list[Problem] = []
    pages: list[Page] = []
    for path, needed in [*((each, True) for each in paths), *((each, False) for each in prose)]:
        try:
            pages.append(read(path, project, module_needed=needed))
        except PressError as error:
            problems += error.problems
    if whole and not problems:
        problems += pairing([page for page in pages if page.module], project)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(press, page, project, cache=cache) for page in pages]
        pressed = [future.result() for future in futures]
    problems += [problem for each in pressed for problem in each.problems]
    problems += _unknown_needs(pages, project)
    if problems:
        raise Failed(problems, pressed)
    return pressed


class Failed(PressError):
    """Some pages failed; `pressed` holds what could be run."""

    def __init__(self, problems: Iterable[Problem], pressed: list[Pressed]) -> None:
        super().__init__(problems)
        self.pressed = pressed


def _unknown_needs(pages: list[Page], project: Project) -> Iterator[Problem]:
    for page in pages:
        for slug in page.front.get("needs", []):
            if not (project.root / project.notes / f"{slug}.md").is_file():
                yield Problem(page.path, 1, f"needs names no page: {slug}")


def press(
    page: Page,
    project: Project,
    *,
    cache: bool = True,
    instead: Path | None = None,
    mutants: bool = True,
) -> Pressed:
    """Run one page and return what came of it; problems are in the answer, not raised.

    The file `instead` takes the place of the module: it runs whole before the first block.
    """
    started = time.monotonic()
    entry = enter(page, project)
    pressed = Pressed(page, entry, problems=list(entry.problems))
    todo = list(steps(pressed, instead))
    stopped = entry.problems and not _only_unshown(entry)
    if not stopped and todo:
        kept = Kept(page, project, todo, pressed.skipped) if cache and instead is None else None
        if kept is None or not kept.load(pressed):
            Process(pressed, project, todo).run()
            if mutants:
                _catch_mutants(pressed, project)
            if kept and not pressed.problems:
                kept.save(pressed)
    pressed.seconds = time.monotonic() - started
    return pressed


def _only_unshown(entry: Entry) -> bool:
    """Say whether what is wrong leaves a page that can still be run."""
    return bool(entry.source) and all(each.path == entry.file for each in entry.problems)


def _catch_mutants(pressed: Pressed, project: Project) -> None:
    """Run the test that each break block names against its mutation."""
    source = pressed.entry.source
    blocks = [(i, each) for i, each in enumerate(pressed.page.blocks) if isinstance(each, Break)]
    blocks = [(i, each) for i, each in blocks if i not in pressed.skipped]
    if pressed.problems or source is None or not blocks:
        return
    mutants = [mutate(source, block, pressed.page.path) for _, block in blocks]
    test_file = project.test_file(project.slug(project.root / pressed.page.path))
    verdicts = run_mutants(mutants, pressed.page.module, test_file, project, environment())
    for (index, block), mutant, verdict in zip(blocks, mutants, verdicts, strict=True):
        pressed.results.setdefault(index, {})["caught"] = verdict.message
        pressed.results[index]["mutation"] = _mutation_diff(mutant)
        if verdict.problem:
            pressed.problems.append(
                Problem(pressed.page.path, block.diff.line, verdict.problem, verdict.message)
            )
    pressed.files = sorted({*pressed.files, *(f for each in verdicts for f in each.files)})


def _mutation_diff(mutant: Mutant) -> str:
    """Return the whole symbol with the mutated line as a diff."""
    shown: list[str] = []
    for number, line in enumerate(mutant.part.text.splitlines()):
        if number == mutant.at:
            shown.append("-" + line)
            shown += ["+" + mutant.line] if mutant.line.strip() else []
        else:
            shown.append(" " + line)
    return "\n".join(each.rstrip() for each in shown) + "\n"
