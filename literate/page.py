"""A page's text, read into blocks: prose to pass on, and five kinds of block to press.

A block is a fence whose info string says what it is, or a container (`/// exercise | Title` and
`/// break | Title`, ended by `///`) around such fences. `parse` reports everything that is wrong
with a page at once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from literate.problems import PressError, Problem

FRONT_KEYS: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "module": str,
    "description": str,
    "upstream": dict,
    "needs": list,
    "holes": list,
    "requires": str,
    "limit": (int, float),
    "page_limit": (int, float),
}
UPSTREAM_KEYS = {"project", "version", "files", "url"}
EXAMPLE_OPTIONS = {"requires", "limit"}
BREAK_OPTIONS = {"test"}


@dataclass(frozen=True)
class Fence:
    """A fenced block: `line` is its opening line, `text` its content without indentation."""

    line: int
    info: str
    text: str
    indent: str = ""

    @property
    def first(self) -> int:
        """The page's line of the first line of `text`."""
        return self.line + 1


@dataclass(frozen=True)
class Prose:
    """Markdown to pass on as it is."""

    line: int
    text: str


@dataclass(frozen=True)
class SourceBlock:
    """Parts of the page's module, shown for the first time and executed."""

    line: int
    names: tuple[str, ...]
    indent: str = ""


@dataclass(frozen=True)
class Quote:
    """A symbol of any module, looked at again."""

    line: int
    name: str
    indent: str = ""


@dataclass(frozen=True)
class Example:
    """A doctest, executed in the page's module."""

    line: int
    fence: Fence
    requires: tuple[str, ...] = ()
    limit: float | None = None

    @property
    def indent(self) -> str:
        """How far the block is indented in the page."""
        return self.fence.indent


@dataclass(frozen=True)
class Exercise:
    """A task: `check` fails on `starter` and passes on `solution`."""

    line: int
    title: str
    prose: str
    starter: Fence
    check: Fence
    hint: Fence
    solution: Fence


@dataclass(frozen=True)
class Break:
    """A one-line mutation of `symbol`, the test that catches it, and a look at what it does."""

    line: int
    title: str
    prose: str
    diff: Fence
    symbol: str
    minus: str
    plus: str
    test: str
    look: Example | None


Block = Prose | SourceBlock | Quote | Example | Exercise | Break


@dataclass(frozen=True)
class Page:
    """A page: where it is, its front matter, its blocks in order."""

    path: str
    text: str
    front: dict[str, Any]
    blocks: tuple[Block, ...]
    lines: tuple[str, ...] = field(repr=False)
    body: int = 1
    """The number of the first line after the front matter."""

    @property
    def title(self) -> str:
        """The page's title."""
        return str(self.front.get("title", self.path))

    @property
    def module(self) -> str:
        """The dotted name of the module that the page walks; "" if it walks none."""
        return str(self.front.get("module", ""))

    @property
    def holes(self) -> list[str]:
        """The symbols whose bodies a reader may write anew."""
        return [str(name) for name in self.front.get("holes", [])]

    @property
    def requires(self) -> tuple[str, ...]:
        """What the whole page needs that a machine can lack."""
        return _names(str(self.front.get("requires", "")))

    def heading_above(self, line: int) -> tuple[int, str]:
        """Return line and text of the last heading above `line` (the title if there is none)."""
        fenced = False
        found = 1, self.title
        for number, text in enumerate(self.lines[: line - 1], 1):
            fenced ^= text.lstrip().startswith(("```", "~~~"))
            if not fenced and re.match(r"#{1,6} ", text):
                found = number, text.lstrip("# ").strip()
        return found


FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})(?P<info>[^`]*)$")
CONTAINER = re.compile(r"^/// (?P<kind>\w+)(?: \| (?P<title>.+))?$")


def parse(text: str, path: str, *, module_needed: bool = True) -> Page:
    """Read a page; raise PressError with everything that is wrong with it."""
    reader = _Reader(text, path, module_needed)
    front, first = reader.front_matter()
    blocks = tuple(reader.blocks(first))
    if reader.problems:
        raise PressError(reader.problems)
    return Page(path, text, front, blocks, tuple(reader.lines), first)


class _Reader:
    def __init__(self, text: str, path: str, module_needed: bool) -> None:
        self.path = path
        self.module_needed = module_needed
        self.lines = text.splitlines()
        self.problems: list[Problem] = []

    def wrong(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.path, line, message))

    # Front matter

    def front_matter(self) -> tuple[dict[str, Any], int]:
        """Return the front matter and the number of the first line after it."""
        if not self.lines or self.lines[0].rstrip() != "---":
            if self.module_needed:
                self.wrong(1, "the page has no front matter: it starts with --- and names a module")
            return {}, 1
        end = next((i for i, line in enumerate(self.lines[1:], 2) if line.rstrip() == "---"), None)
        if end is None:
            self.wrong(1, "the front matter is never closed by a second ---")
            return {}, len(self.lines) + 1
        front = self._yaml("\n".join(self.lines[1 : end - 1]))
        if self.module_needed and front is not None:
            self._check_front(front)
        return front or {}, end + 1

    def _yaml(self, text: str) -> dict[str, Any] | None:
        try:
            loaded: Any = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = mark.line + 2 if mark else 1
            self.wrong(line, f"bad front matter: {error.problem or error}")
            return None
        if not isinstance(loaded, dict):
            self.wrong(2, "bad front matter: it must be `key: value` lines")
            return None
        return cast("dict[str, Any]", loaded)

    def _key_line(self, key: str) -> int:
        return next((i for i, line in enumerate(self.lines, 1) if line.startswith(f"{key}:")), 1)

    def _check_front(self, front: dict[str, Any]) -> None:
        for key, value in front.items():
            kind = FRONT_KEYS.get(key)
            if kind is None:
                known = ", ".join(FRONT_KEYS)
                self.wrong(self._key_line(key), f"unknown front matter key {key!r} (known: {known})")
            elif not isinstance(value, kind):
                wanted = kind.__name__ if isinstance(kind, type) else "number"
                message = f"front matter {key!r} must be a {wanted}, not {value!r}"
                self.wrong(self._key_line(key), message)
        for key in ("title", "module"):
            if key not in front:
                self.wrong(1, f"the front matter has no {key!r}")
        upstream = front.get("upstream")
        if isinstance(upstream, dict) and (more := set(cast("dict[str, Any]", upstream)) - UPSTREAM_KEYS):
            self.wrong(self._key_line("upstream"), f"unknown upstream keys: {', '.join(sorted(more))}")

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
            elif line.lstrip().startswith(">>> "):
                self.wrong(number, "an example outside a ```pycon block would not be verified")
            elif line.startswith("# ") and self.module_needed:
                self.wrong(number, "the title stands in the front matter; sections start with ##")
            if block is None:
                prose += self.lines[number - 1 : after - 1]
            else:
                yield Prose(prose_line, "\n".join(prose))
                prose, prose_line = [], after
                yield block
            number = after
        yield Prose(prose_line, "\n".join(prose))

    def _fence(self, number: int, match: re.Match[str]) -> tuple[Fence, int]:
        """Return the fence opened at line `number` and the number of the line after it."""
        indent, marks = match["indent"], match["marks"]
        closing = re.compile(rf"^[ \t]*{marks[0]}{{{len(marks)},}}[ \t]*$")
        for end in range(number + 1, len(self.lines) + 1):
            if closing.match(self.lines[end - 1]):
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
        names = _names(rest)
        if not names:
            self.wrong(fence.line, "a source block names at least one symbol")
        if fence.text.strip():
            self.wrong(fence.first, "a source block is empty: its text is cut from the module")
        return SourceBlock(fence.line, names, fence.indent)

    def _quote(self, fence: Fence, rest: str) -> Block:
        if not rest.strip() or "," in rest:
            self.wrong(fence.line, "a quote block names one symbol")
        if fence.text.strip():
            self.wrong(fence.first, "a quote block is empty: its text is cut from the module")
        return Quote(fence.line, rest.strip(), fence.indent)

    def _python(self, fence: Fence, rest: str) -> Block | None:
        kind = fence.info.partition(" ")[0]
        where = "an exercise" if kind == "python" else "a break block"
        instead = "a ```pycon block runs" if kind == "python" else "a ```text block shows one as text"
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
            _names(options.get("requires", "")),
            float(limit) if limit is not None else None,
        )

    def _options(self, fence: Fence, rest: str, known: set[str]) -> dict[str, str]:
        """Read `key=value` words."""
        try:
            words = shlex.split(rest)
        except ValueError as error:
            self.wrong(fence.line, f"block options: {error}".lower())
            return {}
        options = dict(word.split("=", 1) if "=" in word else (word, "") for word in words)
        for key in options.keys() - known:
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
                prose.append(self.lines[at - 1])
                at += 1
        if at > len(self.lines):
            self.wrong(number, f"the {kind} block is never closed by ///")
        if not title:
            self.wrong(number, f"the {kind} block has no title: /// {kind} | Title")
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


def _names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None

