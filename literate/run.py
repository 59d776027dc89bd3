"""Pressing: read a page, take it through its module, run it, break it; many pages at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from literate.front import key_line
from literate.grammar import parse
from literate.kept import Kept
from literate.ledger import Entry, check_holes, enter, pairing
from literate.mutants import Mutant, mutate, run_mutants
from literate.page import Break, Page
from literate.pressed import Pressed
from literate.problems import PressError, Problem
from literate.process import Process, stop_all
from literate.project import Project
from literate.quotes import check_quotes
from literate.steps import steps


def read(path: Path, project: Project, *, module_needed: bool = True) -> Page:
    """Read the page at `path`; raise PressError with what is wrong with it."""
    return parse(project.text(path), project.relative(path), module_needed=module_needed)


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
    pages, unread = _read_all(paths, prose, project)
    problems = [problem for each in unread for problem in each.problems]
    if whole and not problems:
        problems += pairing([page for page in pages if page.module], project)
    pressed = _side_by_side(pages, project, cache)
    problems += [problem for each in pressed for problem in each.problems]
    problems += _unknown_needs(pages, project)
    if problems:
        raise Failed(problems, sorted([*pressed, *unread], key=lambda each: each.page.path))
    return pressed


def _read_all(
    paths: Iterable[Path], prose: Iterable[Path], project: Project
) -> tuple[list[Page], list[Pressed]]:
    """Return the pages, and what stands for those that cannot be read."""
    pages: list[Page] = []
    unread: list[Pressed] = []
    for path, is_chapter in [*((each, True) for each in paths), *((each, False) for each in prose)]:
        try:
            pages.append(read(path, project, module_needed=is_chapter))
        except PressError as error:
            unread.append(_unread(path, project, error.problems, is_chapter))
    return pages, unread


def _side_by_side(pages: list[Page], project: Project, cache: bool) -> list[Pressed]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(press, page, project, cache=cache) for page in pages]
        try:
            return [future.result() for future in futures]
        except BaseException:
            # Without this, an interrupt would wait for every page that has begun.
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise


def _unread(path: Path, project: Project, problems: list[Problem], is_chapter: bool) -> Pressed:
    """Return what stands for a page that cannot be read: its place and what is wrong with it."""
    name, module = project.relative(path), ""
    if is_chapter:
        module = f"{project.modules}.{project.slug(path).replace('/', '.')}"
    page = Page(name, "", {"title": path.stem, "module": module}, (), ())
    return Pressed(
        page, Entry(name, module, project.relative(project.module_file(module))), problems=problems
    )


class Failed(PressError):
    """Some pages failed; `pressed` holds what could be run."""

    def __init__(self, problems: Iterable[Problem], pressed: list[Pressed]) -> None:
        super().__init__(problems)
        self.pressed = pressed


def _unknown_needs(pages: list[Page], project: Project) -> Iterator[Problem]:
    for page in pages:
        for slug in page.front.get("needs", []):
            if not (project.root / project.notes / f"{slug}.md").is_file():
                line = key_line(page.lines, "needs")
                yield Problem(page.path, line, f"needs names no page: {slug}")


def press(
    page: Page,
    project: Project,
    *,
    cache: bool = True,
    fresh: bool = False,
    instead: Path | None = None,
    mutants: bool = True,
) -> Pressed:
    """Run one page and return what came of it; problems are in the answer, not raised.

    With `cache`, a kept result is taken, unless it is to be `fresh`, and a new one is kept.
    The file `instead` takes the place of the module: it runs whole before the first block.
    """
    started = time.monotonic()
    entry = enter(page, project)
    can_run = not entry.problems or _only_unshown(entry)
    if entry.source:
        entry.problems += check_holes(page, entry.source)
    entry.problems += check_quotes(page, entry, project)
    pressed = Pressed(page, entry, problems=list(entry.problems))
    todo = list(steps(pressed, instead))
    if can_run and todo:
        kept = Kept(page, project, todo, pressed.skipped) if cache and instead is None else None
        if kept is None or fresh or not kept.load(pressed):
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
    verdicts = run_mutants(mutants, pressed.page.module, source.text, test_file, project)
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
