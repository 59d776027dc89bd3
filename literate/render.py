"""A pressed page as Markdown: once for the site, once to be read anywhere.

Both are ordinary Markdown. The site's has HTML around the blocks for its style sheet to hold on
to, and pictures inline, so that they follow the reader's colours; the plain one refers to the
pictures as files.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from literate.doctests import Outcome
from literate.page import Block, Break, Example, Exercise, Prose, Quote, SourceBlock
from literate.problems import Problem
from literate.project import Project
from literate.run import Pressed
from literate.source import Part, Source, UnknownSymbol

Home = Callable[[str], str | None]
"""Says which page shows a module, by its dotted name."""


def resolve(name: str, pressed: Pressed, project: Project) -> tuple[Source, list[Part], str]:
    """Return what a quote block names: the source, the parts, the dotted module name."""
    if pressed.entry.source is not None:
        try:
            return pressed.entry.source, pressed.entry.source.find(name), pressed.page.module
        except UnknownSymbol:
            pass
    words = name.split(".")
    for count in range(len(words) - 1, 0, -1):
        module, symbol = ".".join(words[:count]), ".".join(words[count:])
        file = project.module_file(module)
        if file.is_file():
            source = Source(file.read_text(encoding="utf-8"), project.relative(file))
            return source, source.find(symbol), module
    raise UnknownSymbol(f"no module of this project has {name!r}")


def check_quotes(pressed: Pressed, project: Project) -> Iterator[Problem]:
    """Report quote blocks that name nothing."""
    for block in pressed.page.blocks:
        if isinstance(block, Quote):
            try:
                resolve(block.name, pressed, project)
            except UnknownSymbol as error:
                yield Problem(pressed.page.path, block.line, str(error))


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


def doctest_text(outcome: Outcome, *, output: bool = True) -> str:
    """Return an example with its prompts and, unless told otherwise, its output."""
    lines = outcome.source.splitlines()
    prompts = "".join(f"{'... ' if i else '>>> '}{line}".rstrip() + "\n" for i, line in enumerate(lines))
    return prompts + (outcome.want if output else "")


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
        text = "\n".join(each.strip("\n") + "\n" for each in body if each.strip())
        return re.sub(r"\n{3,}", "\n\n", text)

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
        assert self.pressed.entry.source is not None
        runs = listing(self.pressed.entry.source, self.pressed.entry.shown.get(block.line, []))
        return "\n".join(self.code(self.pressed.entry.source, first, text) for first, text in runs)

    def code(self, source: Source, first: int, text: str) -> str:
        """Return a run of a module's lines, the first of them line `first`."""
        return fence("python", f"# {source.path}, line {first}\n{text}")

    def quote(self, block: Quote) -> str:
        """Return a symbol shown again."""
        source, parts, module = resolve(block.name, self.pressed, self.project)
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
        return fence("pycon", "".join(map(doctest_text, run)))

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
                _details("Hint", block.hint.text),
                _details("Solution", fence("python", block.solution.text)),
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


@dataclass
class Site(Plain):
    """Markdown for the site: hooks for its style sheet, pictures inline, failures in their place."""

    downloads: str = ""
    """Where the notebook, the script and the Markdown are, as the page links to them."""

    def head(self) -> str:
        page, entry = self.pressed.page, self.pressed.entry
        here = [each for each in self.pressed.problems if not self._block_of(each)]
        if not page.module:
            return "\n".join(map(failure, here))
        lines = [f"# {page.title}\n", '<div class="chapter" markdown>\n']
        if entry.source:
            lines.append(f"**Module** [`{entry.file}`]({self.stem}.py.md), {entry.lines} lines, all on this page\n")
        if page.front.get("upstream"):
            lines.append(f"**Upstream** {_upstream(page.front['upstream'])}\n")
        if page.front.get("needs"):
            lines.append(f"**Read first** {', '.join(map(self._needed, page.front['needs']))}\n")
        if self.downloads:
            kinds = {"ipynb": "notebook", "py": "script", "md": "Markdown"}
            links = [f'<a href="{self.downloads}.{end}" download>{kind}</a>' for end, kind in kinds.items()]
            lines.append(f"**Take it with you** {', '.join(links)}\n")
        return "\n".join([*lines, "</div>\n", *map(failure, here)])

    def _needed(self, slug: str) -> str:
        up = "../" * self.pressed.page.path.removeprefix(self.project.notes + "/").count("/")
        return f"[{slug.rpartition('/')[2]}]({up}{slug}.md)"

    def block(self, index: int, block: Block) -> str:
        shown = super().block(index, block)
        bad = [each for each in self.pressed.problems if self._block_of(each) == block.line]
        return "\n".join([shown, *map(failure, bad)])

    def _block_of(self, problem: Problem) -> int:
        """Return the line of the block that a problem belongs to, 0 if it is none's."""
        if problem.path != self.pressed.page.path:
            return 0
        starts = [each.line for each in self.pressed.page.blocks if not isinstance(each, Prose)]
        return max((line for line in starts if line <= problem.line), default=0)

    def code(self, source: Source, first: int, text: str) -> str:
        # A link in HTML: the site builder cannot see the anchors that the highlighter makes.
        up = "../" * self.pressed.page.path.count("/")
        slug = source.path.partition("/")[2]
        last = first + text.rstrip("\n").count("\n")
        lines = f"line {first}" if first == last else f"lines {first}–{last}"  # noqa: RUF001
        link = f'<a href="{up}{slug}/#__codelineno-0-{first}"><code>{source.path}</code></a>'
        where = f'<p class="source__where">{link} {lines}</p>'
        return f'<div class="source" markdown>\n{where}\n\n' + (
            fence(f'python linenums="{first}"', text) + "\n</div>\n"
        )

    def again(self, shown: str, name: str, module: str) -> str:
        home = self.home(module)
        here = home == self.pressed.page.path
        link = f"[`{name}`]({self._needed(home)[1:].partition('](')[2]}" if home and not here else f"`{name}`"
        return f'<div class="quote" markdown>\n\nAgain: {link}\n{{ .quote__label }}\n\n{shown}\n</div>\n'

    def session(self, run: list[Outcome]) -> str:
        clean = html.escape("".join(each.source for each in run).rstrip("\n"))
        copied = clean.replace("\n", "&#10;")
        inner = super().session(run)
        return f'<div class="example" data-copy="{copied}" markdown>\n\n{inner}\n</div>\n'

    def recorded(self, index: int, text: str) -> str:
        why = self.pressed.skipped.get(index)
        note = f"\nRecorded earlier; not run for this build: {why}.\n{{ .recorded }}\n" if why else ""
        return text + note

    def rich(self, outcome: Outcome) -> str:
        svg = outcome.rich.get("image/svg+xml")
        shown = outcome.rich.get("text/html") or f'<figure class="picture">{svg}</figure>'
        return f"<div>{one_line(shown)}</div>\n"

    def exercise(self, index: int, block: Exercise) -> str:
        anchor = slugify(block.title)
        said = self.pressed.results.get(index, {}).get("starter", "")
        slug = self.project.slug(self.project.root / self.pressed.page.path)
        return "\n".join(
            [
                f'<div class="exercise" data-exercise="{slug}#{anchor}" markdown>\n',
                f"### Exercise: {block.title} {{ #{anchor} }}\n",
                block.prose,
                fence('python title="starter"', block.starter.text),
                fence('pycon title="check"', block.check.text),
                _details("What the check says of the starter", fence("text", said)) if said else "",
                _details("Hint", block.hint.text),
                _details("Solution", fence("python", block.solution.text)),
                "</div>\n",
            ]
        )

    def broken(self, index: int, block: Break) -> str:
        inner = super().broken(index, block)
        return f'<div class="break" markdown>\n\n{inner}\n</div>\n'


def standalone(svg: str) -> str:
    """Return an inline picture as a file of its own."""
    spaced = svg if "xmlns=" in svg else svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return spaced + "\n"


def svg_text(svg: str, tag: str) -> str:
    """Return the text of a picture's title or description."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", svg, re.DOTALL)
    return html.unescape(found[1]).strip() if found else ""


def one_line(markup: str) -> str:
    """Return HTML as one line, which Markdown takes as it is."""
    return " ".join(markup.split("\n"))


def failure(problem: Problem) -> str:
    """Return a problem as the site shows it while a page is being written."""
    detail = textwrap.indent(fence("text", problem.detail), "    ") if problem.detail else ""
    place = f"{problem.path}:{problem.line}"
    return f'\n!!! failure "{html.escape(place)}"\n\n    {problem.message}\n\n{detail}\n'


def _upstream(upstream: dict[str, object]) -> str:
    files = upstream.get("files") or []
    url = str(upstream.get("url", ""))
    names = [str(each) for each in files] if isinstance(files, list) else []
    links = [f"[`{name}`]({url}{name})" if url else f"`{name}`" for name in names]
    return f"{upstream.get('project', '')} {upstream.get('version', '')}: {', '.join(links)}"


def _details(summary: str, text: str) -> str:
    return f"<details markdown>\n<summary>{summary}</summary>\n\n{text}\n</details>\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'").replace("\n", " ") + '"'
