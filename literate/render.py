"""A pressed page as plain Markdown, and what every rendering of it shares."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from literate.doctests import Outcome, prompted
from literate.page import Block, Break, Example, Exercise, Prose, Quote, SourceBlock
from literate.pressed import Pressed
from literate.problems import PressError
from literate.project import Project
from literate.quotes import resolve
from literate.source import Part, Source, UnknownSymbol

Home = Callable[[str], str | None]
"""Says which page shows a module, by its dotted name."""


def listing(source: Source, parts: list[Part]) -> Iterator[tuple[int, str]]:
    """Join parts that follow each other in the module; yield first line and text of each run."""
    runs: list[list[Part]] = []
    for part in parts:
        if runs and runs[-1][-1].last + 1 == part.first:
            runs[-1].append(part)
        else:
            runs.append([part])
    for run in runs:
        yield run[0].start, "".join(source.lines[run[0].start - 1 : run[-1].end])


def slugify(text: str) -> str:
    """Return `text` as an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def fence(info: str, text: str) -> str:
    """Return a fenced block, with marks longer than any in `text`."""
    longest = max((len(marks) for marks in re.findall(r"`{3,}", text)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{info}\n{text.rstrip(chr(10))}\n{marks}\n"


def segments(outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
    """Divide a block's examples after each one that has a rich display."""
    run: list[Outcome] = []
    for outcome in outcomes:
        run.append(outcome)
        if outcome.rich:
            yield run
            run = []
    if run:
        yield run


@dataclass
class Plain:
    """Markdown that any reader shows; pictures are files beside it, collected in `pictures`."""

    pressed: Pressed
    project: Project
    home: Home
    pictures: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def stem(self) -> str:
        """The page's file name without ending."""
        return self.pressed.page.path.rpartition("/")[2].removesuffix(".md")

    def render(self) -> str:
        """Return the whole page."""
        body = [self.head(), *self.body()]
        return "\n".join(each.strip("\n") + "\n" for each in body if each.strip())

    def head(self) -> str:
        """Return the title and what the reader needs to know of the page."""
        return f"# {self.pressed.page.title}\n"

    def body(self) -> Iterator[str]:
        """Yield the blocks in order."""
        for index, block in enumerate(self.pressed.page.blocks):
            text = self.block(index, block)
            yield textwrap.indent(text, getattr(block, "indent", ""))

    def block(self, index: int, block: Block) -> str:
        """Return one block."""
        match block:
            case Prose():
                return block.text
            case SourceBlock():
                return self.source(block)
            case Quote():
                return self.quote(block)
            case Example():
                return self.example(index, block)
            case Exercise():
                return self.exercise(index, block)
            case Break():
                return self.broken(index, block)

    def source(self, block: SourceBlock) -> str:
        """Return the source that a block shows."""
        if self.pressed.entry.source is None:
            return ""
        runs = listing(self.pressed.entry.source, self.pressed.entry.shown.get(block.line, []))
        return "\n".join(self.code(self.pressed.entry.source, first, text) for first, text in runs)

    def code(self, source: Source, first: int, text: str) -> str:
        """Return a run of a module's lines, the first of them line `first`."""
        return fence("python", f"# {source.path}, line {first}\n{text}")

    def quote(self, block: Quote) -> str:
        """Return a symbol shown again."""
        try:
            source, parts, module = resolve(block.name, self.pressed.entry, self.project)
        except (UnknownSymbol, PressError):
            return ""  # a page that is being written; check_quotes says so
        shown = "\n".join(self.code(source, first, text) for first, text in listing(source, parts))
        return self.again(shown, block.name, module)

    def again(self, shown: str, name: str, module: str) -> str:
        """Mark a listing as a repeat."""
        return f"Again, from `{module}`:\n\n{shown}"

    def example(self, index: int, block: Example) -> str:
        """Return an example with its verified output, and the pictures it shows."""
        outcomes = self.pressed.outcomes(index)
        if not outcomes:
            return self.recorded(index, fence("pycon", block.fence.text))
        return "\n".join(self.examples(outcomes))

    def examples(self, outcomes: list[Outcome]) -> Iterator[str]:
        """Yield fences and pictures."""
        for run in segments(outcomes):
            yield self.session(run)
            yield from filter(None, [self.rich(run[-1])])

    def session(self, run: list[Outcome]) -> str:
        """Return examples as a terminal shows them."""
        return fence("pycon", "".join(prompted(each.source) + each.want for each in run))

    def recorded(self, index: int, text: str) -> str:
        """Mark an example that this machine could not run."""
        why = self.pressed.skipped.get(index)
        return f"{text}\n(Recorded, not run: {why}.)\n" if why else text

    def rich(self, outcome: Outcome) -> str:
        """Return the picture that an example shows."""
        svg = outcome.rich.get("image/svg+xml")
        if svg is None:
            return ""
        name = f"{self.stem}/picture-{len(self.pictures) + 1}.svg"
        self.pictures[name] = standalone(svg)
        return f"![{svg_text(svg, 'title')}]({name} {_quoted(svg_text(svg, 'desc'))})\n"

    def exercise(self, index: int, block: Exercise) -> str:
        """Return a task with its check, a hint and a solution."""
        return "\n".join(
            [
                f"### Exercise: {block.title}\n",
                block.prose,
                fence("python", block.starter.text),
                "Check:\n",
                fence("pycon", block.check.text),
                details("Hint", block.hint.text),
                details("Solution", fence("python", block.solution.text)),
            ]
        )

    def broken(self, index: int, block: Break) -> str:
        """Return a mutation, what it does, and the test that catches it."""
        result = self.pressed.results.get(index, {})
        return "\n".join(
            [
                f"### Break it: {block.title}\n",
                block.prose,
                fence("diff", result.get("mutation", block.diff.text)),
                *self.examples(self.pressed.outcomes(index)),
                f"Caught by `{block.test}`:\n",
                fence("text", result.get("caught", "(not run)")),
            ]
        )


def standalone(svg: str) -> str:
    """Return an inline picture as a file of its own."""
    spaced = (
        svg
        if "xmlns=" in svg
        else svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    )
    return spaced + "\n"


def svg_text(svg: str, tag: str) -> str:
    """Return the text of a picture's title or description."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", svg, re.DOTALL)
    return html.unescape(found[1]).strip() if found else ""


def details(summary: str, text: str) -> str:
    """Return a fold-out that holds Markdown."""
    return f"<details markdown>\n<summary>{summary}</summary>\n\n{text}\n</details>\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'").replace("\n", " ") + '"'
