"""A page's grammar: from text to blocks.

A block is a fence whose info string says what it is, or a container (`/// exercise | Title` and
`/// break | Title`, ended by `///`) around such fences. `parse` reports everything that is wrong
with a page at once.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterator

from literate.front import read_front
from literate.page import (
    FENCE,
    Block,
    Break,
    Example,
    Exercise,
    Fence,
    Page,
    Prose,
    Quote,
    SourceBlock,
    closing,
    names,
)
from literate.problems import PressError, Problem

EXAMPLE_OPTIONS = {"requires", "limit"}
BREAK_OPTIONS = {"test"}
CONTAINER = re.compile(r"^/// (?P<kind>\w+)(?: \| (?P<title>.+))?$")


def parse(text: str, path: str, *, module_needed: bool = True) -> Page:
    """Read a page; raise PressError with everything that is wrong with it."""
    reader = _Reader(text, path, module_needed)
    front, first = read_front(reader.lines, module_needed, reader.wrong)
    blocks = tuple(reader.blocks(first))
    if reader.problems:
        raise PressError(reader.problems)
    return Page(path, text, front, blocks, tuple(reader.lines), first)


class _Reader:
    def __init__(self, text: str, path: str, module_needed: bool) -> None:
        self.path = path
        self.module_needed = module_needed
        self.lines = [line.rstrip("\n") for line in io.StringIO(text)]
        self.problems: list[Problem] = []
        self.titles: set[str] = set()

    def wrong(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.path, line, message))

    # Blocks

    def blocks(self, first: int) -> Iterator[Block]:
        """Yield the blocks from line `first` on."""
        prose: list[str] = []
        prose_line = number = first
        while number <= len(self.lines):
            line = self.lines[number - 1]
            block, after = None, number + 1
            if match := FENCE.match(line):
                fence, after = self._fence(number, match)
                block = self._block(fence)
            elif match := CONTAINER.match(line):
                block, after = self._container(number, match["kind"], match["title"] or "")
            elif line.startswith("# ") and self.module_needed:
                self.wrong(number, "the title stands in the front matter; sections start with ##")
            if block is None and CONTAINER.match(line):
                prose += self.lines[number - 1 : after - 1]  # it has said what is wrong
            elif block is None:
                prose += self._prose(number, after)
            else:
                yield Prose(prose_line, "\n".join(prose))
                prose, prose_line = [], after
                yield block
            number = after
        yield Prose(prose_line, "\n".join(prose))

    def _prose(self, first: int, after: int) -> list[str]:
        """Return lines to pass on as they are; there is no example among them."""
        lines = self.lines[first - 1 : after - 1]
        shows_markdown = re.match(r"[ \t]*[`~]{3,}[ \t]*(markdown|md)\b", lines[0])
        for number, line in enumerate(lines, first):
            if line.lstrip().startswith(">>> ") and not shows_markdown:
                self.wrong(number, "an example outside a ```pycon block would not be verified")
        return lines

    def _fence(self, number: int, match: re.Match[str]) -> tuple[Fence, int]:
        """Return the fence opened at line `number` and the number of the line after it."""
        indent, marks = match["indent"], match["marks"]
        ends = closing(marks)
        for end in range(number + 1, len(self.lines) + 1):
            if ends.match(self.lines[end - 1]):
                break
        else:
            self.wrong(number, f"the fence {marks}{match['info']} is never closed")
            end = len(self.lines) + 1
        body = [line.removeprefix(indent) for line in self.lines[number : end - 1]]
        text = "".join(line + "\n" for line in body)
        return Fence(number, match["info"].strip(), text, indent), end + 1

    def _block(self, fence: Fence) -> Block | None:
        """Make the block that a fence outside any container is; None for a plain one."""
        kind, _, rest = fence.info.partition(" ")
        makers: dict[str, Callable[[Fence, str], Block | None]] = {
            "source": self._source,
            "quote": self._quote,
            "pycon": self._example,
            "python": self._python,
            "diff": self._python,
        }
        return makers[kind](fence, rest) if kind in makers else None

    def _source(self, fence: Fence, rest: str) -> Block:
        symbols = names(rest)
        if not symbols:
            self.wrong(fence.line, "a source block names at least one symbol")
        if fence.text.strip():
            self.wrong(fence.first, "a source block is empty: its text is cut from the module")
        return SourceBlock(fence.line, symbols, fence.indent)

    def _quote(self, fence: Fence, rest: str) -> Block:
        if not rest.strip() or "," in rest:
            self.wrong(fence.line, "a quote block names one symbol")
        if fence.text.strip():
            self.wrong(fence.first, "a quote block is empty: its text is cut from the module")
        return Quote(fence.line, rest.strip(), fence.indent)

    def _python(self, fence: Fence, rest: str) -> Block | None:
        kind = fence.info.partition(" ")[0]
        where = "an exercise" if kind == "python" else "a break block"
        instead = (
            "a ```pycon block runs" if kind == "python" else "a ```text block shows one as text"
        )
        self.wrong(fence.line, f"a {kind} block stands only in {where} ({instead})")
        return None

    def _example(self, fence: Fence, rest: str) -> Example:
        options = self._options(fence, rest, EXAMPLE_OPTIONS)
        limit = options.get("limit")
        if limit is not None and not _is_number(limit):
            self.wrong(fence.line, f"limit is a number of seconds, not {limit!r}")
            limit = None
        if re.search(r"#\s*doctest:.*\+SKIP", fence.text):
            self.wrong(fence.line, "doctest's SKIP would hide an output: say requires=... instead")
        if not re.search(r"^\s*>>>", fence.text, re.MULTILINE):
            self.wrong(fence.line, "a pycon block without >>> shows output that nothing produced")
        return Example(
            fence.line,
            fence,
            names(options.get("requires", "")),
            float(limit) if limit is not None else None,
        )

    def _options(self, fence: Fence, rest: str, known: set[str]) -> dict[str, str]:
        """Read `key=value` words."""
        try:
            words = shlex.split(rest)
        except ValueError as error:
            self.wrong(fence.line, f"block options: {error}".lower())
            return {}
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        for key in sorted(options.keys() - known):
            kind = fence.info.partition(" ")[0]
            allowed = ", ".join(sorted(known))
            self.wrong(fence.line, f"unknown option {key!r} of a {kind} block (known: {allowed})")
        return options

    # Containers

    def _container(self, number: int, kind: str, title: str) -> tuple[Block | None, int]:
        """Return the exercise or break block opened at line `number`, and the line after it."""
        prose: list[str] = []
        fences: list[Fence] = []
        at = number + 1
        while at <= len(self.lines) and self.lines[at - 1].rstrip() != "///":
            if match := FENCE.match(self.lines[at - 1]):
                fence, at = self._fence(at, match)
                fences.append(fence)
            else:
                prose += self._prose(at, at + 1)
                at += 1
        if at > len(self.lines):
            self.wrong(number, f"the {kind} block is never closed by ///")
        if not title:
            self.wrong(number, f"the {kind} block has no title: /// {kind} | Title")
        elif title in self.titles:
            self.wrong(number, f"a second block is called {title!r}; its title is its anchor")
        self.titles.add(title)
        makers = {"exercise": self._exercise, "break": self._break}
        if kind not in makers:
            self.wrong(number, f"unknown block {kind!r} (known: exercise, break)")
            return None, at + 1
        return makers[kind](number, title, "\n".join(prose).strip() + "\n", fences), at + 1

    def _exercise(self, number: int, title: str, prose: str, fences: list[Fence]) -> Block | None:
        roles = ["python starter", "pycon check", "markdown hint", "python solution"]
        found = {fence.info: fence for fence in fences}
        for fence in fences:
            if fence.info not in roles or found[fence.info] is not fence:
                message = f"an exercise has one each of {', '.join(roles)}; not {fence.info!r}"
                self.wrong(fence.line, message)
        if missing := [role for role in roles if role not in found]:
            self.wrong(number, f"the exercise {title!r} lacks: {', '.join(missing)}")
            return None
        return Exercise(number, title, prose, *(found[role] for role in roles))

    def _break(self, number: int, title: str, prose: str, fences: list[Fence]) -> Block | None:
        diffs = [fence for fence in fences if fence.info.startswith("diff")]
        looks = [fence for fence in fences if fence.info.partition(" ")[0] == "pycon"]
        if len(diffs) != 1 or len(looks) > 1 or len(fences) != len(diffs) + len(looks):
            self.wrong(number, "a break block has one diff and at most one pycon block")
            return None
        diff = diffs[0]
        words = diff.info.split()
        symbol = words[1] if len(words) > 1 and "=" not in words[1] else ""
        options = self._options(diff, " ".join(words[2:]), BREAK_OPTIONS)
        if not symbol or not options.get("test"):
            self.wrong(diff.line, "a break block's diff says: ```diff SYMBOL test=NAME")
            return None
        minus = [line[1:] for line in diff.text.splitlines() if line.startswith("-")]
        plus = [line[1:] for line in diff.text.splitlines() if line.startswith("+")]
        if len(minus) != 1 or len(plus) > 1:
            self.wrong(diff.line, "a mutation is one line: one - line and at most one + line")
            return None
        look = self._example(looks[0], looks[0].info.partition(" ")[2]) if looks else None
        added = "".join(plus)
        return Break(number, title, prose, diff, symbol, minus[0], added, options["test"], look)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None and float(text) > 0
