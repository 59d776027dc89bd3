"""Pages as tests: `pytest notes/linux/list_head.md`, `pytest -k list_head`, `pytest notes`.

Each block that runs is one test, with page and line in its name; the page's account of its module
is one; the chapter's notebook, executed by nbclient, is one more. Pages and notebooks start
running, side by side, as soon as the collection is done. A run of many pages executes one notebook
in twelve, because a kernel takes longer to start than most pages take; with
WALKTHROUGHS_REQUIRE_REAL=1 it is all of them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from literate.needs import REQUIRE_REAL
from literate.page import Break, Example, Exercise, Page
from literate.pressed import Pressed
from literate.problems import PressError, Problem
from literate.project import Project
from literate.pytest_summary import pytest_runtest_logreport, pytest_terminal_summary
from literate.run import press, read

__all__ = [
    "pytest_collect_file",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_runtestloop",
    "pytest_terminal_summary",
]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the pages below notes/."""
    try:
        project = Project.find(parent.config.rootpath)
    except PressError:
        return None
    inside = file_path.is_relative_to(project.root / project.notes)
    if file_path.suffix != ".md" or not inside:
        return None
    return PageFile.from_parent(parent, path=file_path)  # pyright: ignore[reportUnknownMemberType]


MANY = 24
"""Pages in a run from which on most notebooks are left out."""

LEFT_OUT = f"one notebook in {MANY} is executed in a run of many pages; all with {REQUIRE_REAL}=1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most notebooks out of a run of many pages."""
    notebooks = [item for item in items if isinstance(item, NotebookItem)]
    if len(notebooks) > MANY and os.environ.get(REQUIRE_REAL) != "1":
        for number, item in enumerate(notebooks):
            if number % MANY:
                item.add_marker(pytest.mark.skip(reason=LEFT_OUT))


POOL = pytest.StashKey[tuple[ThreadPoolExecutor, set[Any]]]()
"""Where pages run, and which of them have a notebook to run too."""


@dataclass
class Running:
    """A page that runs while other tests do; its notebook follows if a test wants it."""

    project: Project
    page: Page
    result: Future[Pressed]
    executed: Future[list[Problem]] | None = None


class PageFile(pytest.File):
    """A page; its items share one run of it."""

    running: Running | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for the account of the module, for each block that runs, the notebook."""
        project = Project.find(self.config.rootpath)
        try:
            self.page = read(self.path, project)
        except PressError as error:
            raise self.CollectError(str(error)) from None
        yield self._item(LedgerItem, "every line of the module is shown once", 1)
        for block in self.page.blocks:
            kind = _kind(block)
            if kind:
                name = f"line {block.line}: {kind} {_hint(block)}".rstrip()
                yield self._item(BlockItem, name, block.line)
        yield self._item(NotebookItem, "notebook", 1)

    def _item(self, kind: type[PageItem], name: str, line: int) -> PageItem:
        item: Any = kind.from_parent(self, name=name)  # pyright: ignore[reportUnknownMemberType]
        item.line = line
        return item

    def run(self, pool: ThreadPoolExecutor, notebook: bool) -> Running:
        """Return the run of the page, and of its notebook; the first call starts them."""
        if self.running is None:
            project = Project.find(self.config.rootpath)
            result = pool.submit(press, self.page, project, fresh=True)
            self.running = Running(project, self.page, result)
            if notebook:
                self.running.executed = pool.submit(_execute, self.running)
        return self.running


def _kind(block: object) -> str:
    kinds = {"Example": "example", "Exercise": "exercise", "Break": "break it"}
    return kinds.get(type(block).__name__, "")


def _hint(block: object) -> str:
    if isinstance(block, Exercise | Break):
        return block.title
    assert isinstance(block, Example)
    first = next((line for line in block.fence.text.splitlines() if line.strip()), "")
    return first.strip().removeprefix(">>> ")[:50]


class PageFailed(Exception):
    """What a page's item raises: problems, to be shown as they are."""


class PageItem(pytest.Item):
    """Something that a page says and that can be wrong."""

    line = 1

    def run_of_page(self) -> Running:
        """Return the page's run."""
        assert isinstance(self.parent, PageFile)
        pool, notebooks = self.config.stash[POOL]
        return self.parent.run(pool, self.parent in notebooks)

    def problems(self) -> list[Problem]:
        """Return what is wrong; skip the test if the machine cannot tell."""
        return []

    def runtest(self) -> None:
        """Fail with everything that is wrong."""
        if problems := self.problems():
            raise PageFailed("\n".join(map(str, problems)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show problems without a traceback of the press."""
        if isinstance(excinfo.value, PageFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the item is."""
        return self.path, self.line - 1, f"{self.path.name}: {self.name}"


class BlockItem(PageItem):
    """One block."""

    def problems(self) -> list[Problem]:
        """Return what is wrong between this block and the next one that runs."""
        running = self.run_of_page()
        pressed = running.result.result()
        starts = [block.line for block in running.page.blocks if _kind(block)]
        after = min(
            (line for line in starts if line > self.line), default=len(running.page.lines) + 1
        )
        index = next(
            i for i, b in enumerate(running.page.blocks) if b.line == self.line and _kind(b)
        )
        own = pressed.entry.problems
        page_problems = [
            each for each in pressed.problems if each.path == running.page.path and each not in own
        ]
        here = [each for each in page_problems if self.line <= each.line < after]
        if not here and index in pressed.skipped:
            pytest.skip(pressed.skipped[index])
        if not here and index not in pressed.results:
            first = "; ".join(str(each).partition("\n")[0] for each in pressed.problems[:1])
            here = [Problem(running.page.path, self.line, f"never reached: {first}")]
        return here


class LedgerItem(PageItem):
    """The page against its module: what is shown, quoted, left for the reader to write."""

    def problems(self) -> list[Problem]:
        """Return what is wrong outside the blocks that run."""
        running = self.run_of_page()
        pressed = running.result.result()
        starts = [block.line for block in running.page.blocks if _kind(block)]
        first = min(starts, default=len(running.page.lines) + 1)
        own = [each for each in pressed.problems if each.path != running.page.path]
        own += [each for each in pressed.problems if each not in own and each.line < first]
        own += pressed.entry.problems
        return list(dict.fromkeys(own))


class NotebookItem(PageItem):
    """The page's notebook, executed in a kernel, against the page."""

    def problems(self) -> list[Problem]:
        """Return where the notebook's outputs are not the page's."""
        running = self.run_of_page()
        pressed = running.result.result()
        if pressed.problems:
            return [Problem(running.page.path, 1, "the page fails, so its notebook was not run")]
        if pressed.skipped:
            pytest.skip(next(iter(pressed.skipped.values())))
        assert running.executed is not None
        return running.executed.result()


def _execute(running: Running) -> list[Problem]:
    """Execute the notebook of a page and hold it against the page."""
    # Loaded for those runs alone that execute a notebook.
    from literate import kernel, notebook

    pressed = running.result.result()
    if pressed.problems or pressed.skipped:
        return []
    made = notebook.notebook(pressed, running.project)
    try:
        kernel.execute(made, running.project)
    except Exception as error:
        return [Problem(running.page.path, 1, "the notebook does not run", str(error))]
    found = kernel.differences(made, pressed, running.project)
    message = "the notebook shows something else"
    return [Problem(running.page.path, line, message, report) for line, report in found]


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Start the collected pages before the first test.

    A process of pytest-xdist has collected all pages, and starts those that it is given.
    """
    items = [item for item in session.items if isinstance(item, PageItem)]
    pages = [item.parent for item in items if isinstance(item.parent, PageFile)]
    chosen = [item for item in items if isinstance(item, NotebookItem)]
    notebooks = {item.parent for item in chosen if not item.get_closest_marker("skip")}
    shared = hasattr(session.config, "workerinput")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        session.config.stash[POOL] = pool, notebooks
        if not shared and not session.config.option.collectonly:
            for page in dict.fromkeys(pages):
                page.run(pool, page in notebooks)
        return (yield)
