"""A pressed page as the site shows it.

Ordinary Markdown with HTML around the blocks for the site's style sheet to hold on to, pictures
inline, so that they follow the reader's colours, and failures in their place.
"""

from __future__ import annotations

import html
import os
import textwrap
from dataclasses import dataclass
from typing import Any

from literate.doctests import Outcome
from literate.page import Block, Break, Exercise, Prose
from literate.problems import Problem
from literate.render import Plain, details, fence, slugify
from literate.source import Source


@dataclass
class Site(Plain):
    """Markdown for the site."""

    downloads: str = ""
    """Where the notebook, the script and the Markdown are, as the page links to them."""

    def head(self) -> str:
        page, entry = self.pressed.page, self.pressed.entry
        here = [each for each in self.pressed.problems if not self._block_of(each)]
        if not page.module:
            return "\n".join(map(failure, here))
        lines = [f"# {page.title}\n", '<div class="chapter" markdown>\n']
        if entry.source:
            module = f"[`{entry.file}`]({self.stem}.py.md)"
            lines.append(f"**Module** {module}, {entry.lines} lines, all on this page\n")
        if page.front.get("upstream"):
            lines.append(f"**Upstream** {_upstream(page.front['upstream'])}\n")
        if page.front.get("needs"):
            lines.append(f"**Read first** {', '.join(map(self._needed, page.front['needs']))}\n")
        if self.downloads:
            kinds = {"ipynb": "notebook", "py": "script", "md": "Markdown"}
            links = [
                f'<a href="{self.downloads}.{end}" download>{kind}</a>'
                for end, kind in kinds.items()
            ]
            lines.append(f"**Take it with you** {', '.join(links)}\n")
        return "\n".join([*lines, "</div>\n", *map(failure, here)])

    def _needed(self, slug: str) -> str:
        path = self._path_to(f"{self.project.notes}/{slug}.md")
        return f"[{slug.rpartition('/')[2]}]({path})"

    def _path_to(self, page: str) -> str:
        """Return the path of another page, from this one."""
        return os.path.relpath(_place(page), os.path.dirname(_place(self.pressed.page.path)))

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
        link = f'<a href="{up}{slug}/#__span-0-{first}"><code>{source.path}</code></a>'
        where = f'<p class="source__where">{link} {lines}</p>'
        # A search finds a name in the reference, once, and not in every listing that has it.
        return f'<div class="source" data-search-exclude markdown>\n{where}\n\n' + (
            fence(f'python linenums="{first}"', text) + "\n</div>\n"
        )

    def again(self, shown: str, name: str, module: str) -> str:
        home = self.home(module)
        label = f"`{name}`"
        if home and home != self.pressed.page.path:
            label = f"[{label}]({self._path_to(home)})"
        said = f"Again: {label}\n{{ .quote__label }}"
        return f'<div class="quote" data-search-exclude markdown>\n\n{said}\n\n{shown}\n</div>\n'

    def session(self, run: list[Outcome]) -> str:
        clean = html.escape("".join(each.source for each in run).rstrip("\n"))
        copied = clean.replace("\n", "&#10;")
        inner = super().session(run)
        return f'<div class="example" data-copy="{copied}" markdown>\n\n{inner}\n</div>\n'

    def recorded(self, index: int, text: str) -> str:
        why = self.pressed.skipped.get(index)
        note = (
            f"\nRecorded earlier; not run for this build: {why}.\n{{ .recorded }}\n" if why else ""
        )
        return text + note

    def rich(self, outcome: Outcome) -> str:
        svg = outcome.rich.get("image/svg+xml")
        shown = outcome.rich.get("text/html") or (svg and f'<figure class="picture">{svg}</figure>')
        return f"<div data-search-exclude>{one_line(shown)}</div>\n" if shown else ""

    def exercise(self, index: int, block: Exercise) -> str:
        anchor = slugify(block.title)
        said = self.pressed.results.get(index, {}).get("starter", "")
        slug = _place(self.pressed.page.path).removesuffix(".md")
        return "\n".join(
            [
                f'<div class="exercise" data-exercise="{slug}#{anchor}" markdown>\n',
                f"### Exercise: {block.title} {{ #{anchor} }}\n",
                block.prose,
                fence('python title="starter"', block.starter.text),
                fence('pycon title="check"', block.check.text),
                details("What the check says of the starter", fence("text", said)) if said else "",
                details("Hint", block.hint.text),
                details("Solution", fence("python", block.solution.text)),
                "</div>\n",
            ]
        )

    def broken(self, index: int, block: Break) -> str:
        inner = super().broken(index, block)
        return f'<div class="break" markdown>\n\n{inner}\n</div>\n'


def _place(page: str) -> str:
    """Return where a page of notes/ or docs/ stands on the site."""
    return page.partition("/")[2]


def one_line(markup: str) -> str:
    """Return HTML as one line, which Markdown takes as it is."""
    return " ".join(markup.split("\n"))


def failure(problem: Problem) -> str:
    """Return a problem as the site shows it while a page is being written."""
    detail = textwrap.indent(fence("text", problem.detail), "    ") if problem.detail else ""
    place = f"{problem.path}:{problem.line}"
    return f'\n!!! failure "{html.escape(place)}"\n\n    {problem.message}\n\n{detail}\n'


def _upstream(upstream: dict[str, Any]) -> str:
    url = upstream.get("url", "")
    names: list[str] = upstream.get("files", [])
    links = [f"[`{name}`]({url}{name})" if url else f"`{name}`" for name in names]
    return f"{upstream.get('project', '')} {upstream.get('version', '')}: {', '.join(links)}"
