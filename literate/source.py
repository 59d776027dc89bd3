"""A module's text, cut by symbol: every line belongs to exactly one part, and each part has a name.

A part is a top-level definition with the comments and decorators above it. A statement without a
name of its own (an expression, an `if`) belongs to the part above it. Three groups have fixed
names: "the docstring", "the imports", "the constants" (the assignments above the first
definition; each is also a part of its own). A class can be taken in parts: "class NAME" is
everything above its first method, then "NAME.method" for each.
"""

from __future__ import annotations

import ast
import difflib
import gc
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from literate.problems import PressError, Problem
from literate.project import Project

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Part:
    """Lines `first` to `last` (both included, 1-based) of a module, under a name."""

    name: str
    first: int
    last: int
    lines: tuple[str, ...]
    """Exactly those lines, each with its line end."""

    @property
    def start(self) -> int:
        """The first line that is not blank."""
        return self.first + next((i for i, line in enumerate(self.lines) if line.strip()), 0)

    @property
    def end(self) -> int:
        """The last line that is not blank."""
        return self.last - next((i for i, line in enumerate(self.lines[::-1]) if line.strip()), 0)

    @property
    def text(self) -> str:
        """The lines as a page shows them: without the blank ones around."""
        shown = self.lines[self.start - self.first : self.end - self.first + 1]
        return "".join(shown).rstrip("\n") + "\n"

    @property
    def code_lines(self) -> int:
        """How many lines are not blank."""
        return sum(1 for line in self.lines if line.strip())


class UnknownSymbol(LookupError):
    """A name that the module does not define; the message suggests one that it does."""


_parsing = threading.Lock()


def parse(text: str, path: str = "<unknown>") -> ast.Module:
    """Return the tree of a text, as `ast.parse` does, in any thread.

    Before 3.11.8, Python counts how deep a tree is for all threads together, and fails when the
    garbage collector lets one begin in the midst of another.
    """
    with _parsing:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(text, path)
        finally:
            if collecting:
                gc.enable()


class Source:
    """A module's text and its parts. Raises SyntaxError as `ast.parse` does."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.text = text
        # Lines as the parser counts them: a form feed does not end one, unlike for splitlines.
        self.lines = io.StringIO(text).readlines()
        self.tree = parse(text, path)

    @classmethod
    def of(cls, file: Path, project: Project) -> Source:
        """Read a module's file; raise PressError if that is not possible."""
        path = project.relative(file)
        try:
            return cls(project.text(file), path)
        except SyntaxError as error:
            what = Problem(path, error.lineno or 1, f"syntax error: {error.msg}")
        raise PressError([what])

    @cached_property
    def parts(self) -> list[Part]:
        """The module's top-level parts, in order; joined they are its text."""
        return _cut(self.lines, 1, len(self.lines), list(_named(self.tree.body, top=True)))

    @cached_property
    def constants(self) -> list[Part]:
        """The parts that "the constants" stands for."""
        names: list[str] = []
        for statement in self.tree.body:
            if isinstance(statement, DEFINITIONS):
                break
            names += filter(None, [_assigned(statement)])
        return [part for part in self.parts if part.name in names]

    @cached_property
    def classes(self) -> dict[str, list[Part]]:
        """For each class with methods: its head, then its methods."""
        cut: dict[str, list[Part]] = {}
        for node in self.tree.body:
            whole = next(part for part in self.parts if part.first <= node.lineno <= part.last)
            if isinstance(node, ast.ClassDef) and whole.name == node.name:
                cut.setdefault(node.name, self._members(node, whole))
        return {name: parts for name, parts in cut.items() if len(parts) > 1}

    def _members(self, node: ast.ClassDef, whole: Part) -> list[Part]:
        named = list(_named(node.body, top=False))
        methods = [
            (f"{node.name}.{name}" if name else "", first, last) for name, first, last in named
        ]
        while methods and not methods[0][0]:
            methods.pop(0)
        above = methods[0][1] - 1 if methods else whole.last
        stated = max((last for _, _, last in named if last <= above), default=0)
        while above > stated and self.lines[above - 1].lstrip()[:1] in ("", "#"):
            above -= 1
        head = (f"class {node.name}", _start(node), above)
        return _cut(self.lines, whole.first, whole.last, [head, *methods])

    def find(self, name: str) -> list[Part]:
        """Return the parts that `name` stands for; raise UnknownSymbol when there are none."""
        if name == "the constants":
            found = self.constants
        else:
            every = self.parts + [part for parts in self.classes.values() for part in parts]
            found = [part for part in every if part.name == name]
        if not found:
            raise UnknownSymbol(self._unknown(name))
        return found

    def function(self, name: str) -> Definition:
        """Return the function or method called `name`; raise UnknownSymbol if there is none."""
        body: list[ast.stmt] = self.tree.body
        found: Definition | None = None
        for word in name.split("."):
            named = (node for node in body if isinstance(node, DEFINITIONS) and node.name == word)
            found = next(named, None)
            body = found.body if found else []
        if found is None or isinstance(found, ast.ClassDef):
            raise UnknownSymbol(f"{self.path} has no function {name!r} to take the body out of")
        return found

    def _unknown(self, name: str) -> str:
        every = [part.name for part in self.parts] + ["the constants"] * bool(self.constants)
        every += [part.name for parts in self.classes.values() for part in parts]
        close = difflib.get_close_matches(name, every, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"{self.path} has no {name!r}{hint}"


Span = tuple[str, int, int]
"""A statement: its name ("" if it has none), its first and its last line."""


def _named(statements: list[ast.stmt], *, top: bool) -> Iterator[Span]:
    """Name the statements of a module (`top`) or of a class."""
    known: set[str] = set()
    imports_open = top
    for index, statement in enumerate(statements):
        name = ""
        if isinstance(statement, DEFINITIONS):
            name, imports_open = statement.name, False
        elif top and index == 0 and ast.get_docstring(ast.Module([statement], [])) is not None:
            name = "the docstring"
        elif isinstance(statement, ast.Import | ast.ImportFrom) and imports_open:
            name = "the imports"
        elif top and (assigned := _assigned(statement)):
            name, imports_open = assigned, False
        # Overloads and property accessors repeat a name; what repeats one has none of its own.
        yield ("" if name in known else name), _start(statement), statement.end_lineno or 0
        known.add(name)


def _assigned(statement: ast.stmt) -> str:
    """Return the first name that an assignment binds, else ""."""
    if isinstance(statement, ast.Assign):
        target: ast.expr | None = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        target = (
            getattr(statement, "name", None) if type(statement).__name__ == "TypeAlias" else None
        )
    if isinstance(target, ast.Tuple) and target.elts:
        target = target.elts[0]
    return target.id if isinstance(target, ast.Name) else ""


def _start(statement: ast.stmt) -> int:
    """Return the line on which a statement starts, its decorators included."""
    decorators = statement.decorator_list if isinstance(statement, DEFINITIONS) else []
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _cut(lines: list[str], first: int, last: int, named: list[Span]) -> list[Part]:
    """Divide lines `first`..`last` among the named spans; what stands between goes to the next."""
    parts: list[Part] = []
    begin = first
    for name, start, end in named:
        if parts and (not name or start < begin):
            # A docstring below a constant, a second statement on the line: no part of its own.
            grown = max(end, parts[-1].last)
            body = tuple(lines[parts[-1].first - 1 : grown])
            parts[-1] = replace(parts[-1], last=grown, lines=body)
        else:
            parts.append(Part(name or "the start", begin, end, tuple(lines[begin - 1 : end])))
        begin = parts[-1].last + 1
    if not parts and last >= first:
        parts.append(Part("the start", first, last, tuple(lines[first - 1 : last])))
    if parts and parts[-1].last < last:
        body = tuple(lines[parts[-1].first - 1 : last])
        parts[-1] = replace(parts[-1], last=last, lines=body)
    return parts
