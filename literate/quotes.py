"""What a quote block looks at again: a symbol of the page's module, or of any other."""

from __future__ import annotations

from collections.abc import Iterator

from literate.ledger import Entry
from literate.page import Page, Quote
from literate.problems import PressError, Problem
from literate.project import Project
from literate.source import Part, Source, UnknownSymbol


def resolve(name: str, entry: Entry, project: Project) -> tuple[Source, list[Part], str]:
    """Return what a quote block names: the source, the parts, the dotted module name."""
    if entry.source is not None:
        try:
            return entry.source, entry.source.find(name), entry.module
        except UnknownSymbol:
            pass
    words = name.split(".")
    for count in range(len(words) - 1, 0, -1):
        module, symbol = ".".join(words[:count]), ".".join(words[count:])
        file = project.module_file(module)
        if file.is_file():
            source = Source.of(file, project)
            return source, source.find(symbol), module
    raise UnknownSymbol(f"no module of this project has {name!r}")


def check_quotes(page: Page, entry: Entry, project: Project) -> Iterator[Problem]:
    """Report quote blocks that name nothing."""
    for block in page.blocks:
        if isinstance(block, Quote):
            try:
                resolve(block.name, entry, project)
            except UnknownSymbol as error:
                yield Problem(page.path, block.line, str(error))
            except PressError as error:
                yield from error.problems
