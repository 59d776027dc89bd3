"""The ledger: which lines of which module which page shows; every line once, in order.

`enter` takes a page's source blocks through its module and says what each block shows and what
has to be executed when; what it finds wrong, it reports with the module's line and the page's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from literate.front import key_line
from literate.page import Page, SourceBlock
from literate.problems import PressError, Problem
from literate.project import CODELESS, Project
from literate.source import Part, Source, UnknownSymbol


@dataclass
class Entry:
    """One page's account of its module."""

    page: str
    module: str
    file: str
    source: Source | None = None
    shown: dict[int, list[Part]] = field(default_factory=dict[int, list[Part]])
    """For the page's line of each source block: the parts it shows."""
    runs: dict[int, list[Part]] = field(default_factory=dict[int, list[Part]])
    """For the same lines: the parts to execute there (a class when its last part is shown)."""
    problems: list[Problem] = field(default_factory=list[Problem])

    @property
    def lines(self) -> int:
        """How many lines of code, comments and docstrings the module has."""
        return sum(part.code_lines for part in self.source.parts) if self.source else 0

    @property
    def lines_shown(self) -> int:
        """How many of them the page shows."""
        return sum(part.code_lines for parts in self.shown.values() for part in parts)

    @property
    def share(self) -> float:
        """The shown share of the module, 0 to 1."""
        return self.lines_shown / self.lines if self.lines else 0.0


def enter(page: Page, project: Project) -> Entry:
    """Take the page's source blocks through its module."""
    file = project.module_file(page.module)
    entry = Entry(page.path, page.module, project.relative(file))
    if not page.module:
        return entry
    if not file.is_file():
        message = f"there is no module {page.module} ({entry.file})"
        entry.problems.append(Problem(page.path, key_line(page.lines, "module"), message))
        return entry
    try:
        entry.source = Source.of(file, project)
    except PressError as error:
        entry.problems += error.problems
        return entry
    _Walk(page, entry, entry.source).walk()
    return entry


class _Walk:
    def __init__(self, page: Page, entry: Entry, source: Source) -> None:
        self.page, self.entry, self.source = page, entry, source
        self.seen: dict[str, int] = {}
        self.last = 0
        """The last module line shown so far."""

    def walk(self) -> None:
        for block in self.page.blocks:
            if isinstance(block, SourceBlock):
                parts = list(self._parts(block))
                self.entry.shown[block.line] = parts
                self.entry.runs[block.line] = list(self._due(parts))
        self.entry.problems += self._missing()

    def _parts(self, block: SourceBlock) -> Iterator[Part]:
        """Yield the parts that a block shows, in the order it names them."""
        for name in block.names:
            try:
                found = self.source.find(name)
            except UnknownSymbol as error:
                self._wrong(block.line, str(error))
                continue
            for part in found:
                if self._in_order(part, block.line):
                    yield part

    def _in_order(self, part: Part, line: int) -> bool:
        """Say whether `part` may be shown at the page's `line`; note what is wrong if not."""
        where = f"{self.source.path}:{part.start}"
        if before := self._earlier(part):
            at = f"first at {self.page.path}:{before}"
            self._wrong(line, f"{part.name} ({where}) is shown twice ({at})")
            return False
        self.seen[part.name] = line
        if part.name == "check":
            # In a notebook the module's names are the reader's own.
            self._wrong(
                line, f"check ({where}) hides the check of a notebook's exercises: rename it"
            )
        if part.start < self.last:
            message = f"{part.name} ({where}) is out of order: line {self.last} is already shown"
            self._wrong(line, message)
        self.last = max(self.last, part.start)
        return True

    def _earlier(self, part: Part) -> int:
        """Return the page's line that first shows lines of `part`; 0 if none does."""
        members = [each.name for each in self.source.classes.get(part.name, [])]
        owner = part.name.removeprefix("class ").partition(".")[0]
        same = [part.name, *members, owner]
        return min((self.seen[name] for name in same if name in self.seen), default=0)

    def _due(self, parts: list[Part]) -> Iterator[Part]:
        """Yield what to execute once `parts` are shown: a class waits for its last part."""
        for part in parts:
            owner = part.name.removeprefix("class ").partition(".")[0]
            if part in self.source.parts:
                yield part
            elif part == self.source.classes[owner][-1]:
                yield next(each for each in self.source.parts if each.name == owner)

    def _missing(self) -> Iterator[Problem]:
        """Report the parts that the page never shows, beside the page's line they belong at."""
        line = min(self.seen.values(), default=1)
        for part in self._leaves():
            if part.name in self.seen:
                line = self.seen[part.name]
            else:
                last = f"-{part.end}" if part.end > part.start else ""
                where = f"(line {part.start}{last}) is never shown"
                message = f"{part.name} {where}; it belongs after {self.page.path}:{line}"
                yield Problem(self.source.path, part.start, message)

    def _leaves(self) -> Iterator[Part]:
        """Yield the module's parts, those of a class where the page shows it in parts."""
        for part in self.source.parts:
            members = self.source.classes.get(part.name, [])
            begun = any(each.name in self.seen for each in members)
            yield from members if begun and part.name not in self.seen else [part]

    def _wrong(self, line: int, message: str) -> None:
        self.entry.problems.append(Problem(self.page.path, line, message))


def check_holes(page: Page, source: Source) -> Iterator[Problem]:
    """Report holes that name nothing."""
    for name in page.holes:
        try:
            source.function(name)
        except UnknownSymbol as error:
            yield Problem(page.path, key_line(page.lines, "holes"), str(error))


def pairing(pages: list[Page], project: Project) -> list[Problem]:
    """Report modules without a page, modules with two, and code in files that have no page."""
    problems: list[Problem] = []
    walked: dict[str, str] = {}
    for page in pages:
        if page.module in walked:
            message = f"{page.module} already has a page: {walked[page.module]}"
            problems.append(Problem(page.path, 1, message))
        elif page.module:
            walked[page.module] = page.path
            problems += _one_stem(page, project)
    for file in project.module_files():
        name = project.module_name(file)
        if name not in walked:
            wanted = "/".join(name.split(".")[1:]) + ".md"
            message = f"no page walks {name}; it belongs in {project.notes}/{wanted}"
            problems.append(Problem(project.relative(file), 1, message))
    for file in sorted((project.root / project.modules).rglob("*.py")):
        if file.name in CODELESS:
            try:
                problems += codeless(Source.of(file, project))
            except PressError as error:
                problems += error.problems
    return problems


def _one_stem(page: Page, project: Project) -> Iterator[Problem]:
    """Report a page that is not where its module says: one stem names both, and the test."""
    wanted = f"{project.notes}/{'/'.join(page.module.split('.')[1:])}.md"
    if page.path != wanted:
        yield Problem(page.path, 1, f"the page of {page.module} belongs in {wanted}")


def codeless(source: Source) -> Iterator[Problem]:
    """Report code in a package's `__init__` or `__main__` beyond what needs no explaining."""
    main = source.path.endswith("__main__.py")
    allowed: tuple[type[ast.stmt], ...] = (ast.Import, ast.ImportFrom) if main else ()
    calls = 1 if main else 0
    held = "a docstring, imports and one call" if main else "a docstring and nothing else"
    for statement in source.tree.body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        calls -= is_call
        if not (is_text or isinstance(statement, allowed) or (is_call and calls >= 0)):
            message = f"this file has no page, so it holds {held}"
            yield Problem(source.path, statement.lineno, message)
