"""Where things are: the folders of a project and the one stem that ties page, module and test."""

from __future__ import annotations

import os
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from literate.problems import PressError, Problem

CODELESS = ("__init__.py", "__main__.py")
"""Files that need no page, because they may hold no code worth one (see `ledger.codeless`)."""


@dataclass(frozen=True)
class Project:
    """A checkout: pages below `notes`, modules below `modules`, tests below `tests`.

    The site's own pages, below `docs`, walk no module; some have examples.
    """

    root: Path
    notes: str = "notes"
    modules: str = "walkthroughs"
    tests: str = "tests"
    docs: str = "docs"

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project around `start` (default: the working directory, else this package)."""
        for origin in [start or Path.cwd(), Path(__file__)]:
            for folder in [origin.resolve(), *origin.resolve().parents]:
                settings = _settings(folder / "pyproject.toml")
                if settings is not None:
                    return cls(folder, **settings)
        where = start or Path.cwd()
        raise PressError([Problem(str(where), 1, "no pyproject.toml with [tool.literate] here")])

    def relative(self, path: Path) -> str:
        """Return `path` as the project's messages name it."""
        resolved = path.resolve()
        inside = resolved.is_relative_to(self.root)
        return resolved.relative_to(self.root).as_posix() if inside else str(path)

    def text(self, file: Path) -> str:
        """Return the text of a file; raise PressError for one that cannot be read as text."""
        try:
            return file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            why = f"not UTF-8: the byte 0x{error.object[error.start]:02x}"
        except OSError as error:
            line, why = 1, error.strerror or str(error)
        raise PressError([Problem(self.relative(file), line, why)])

    def pages(self) -> list[Path]:
        """Return every page, in the order of their paths."""
        return sorted(file for file in (self.root / self.notes).rglob("*.md") if file.is_file())

    def module_files(self) -> list[Path]:
        """Return every module that must have a page."""
        files = sorted((self.root / self.modules).rglob("*.py"))
        return [file for file in files if file.name not in CODELESS]

    def module_file(self, name: str) -> Path:
        """Return the file of the module called `name`, whether or not it exists."""
        return self.root / (name.replace(".", "/") + ".py")

    def module_name(self, file: Path) -> str:
        """Return the dotted name under which `file` is imported."""
        return ".".join(file.resolve().relative_to(self.root).with_suffix("").parts)

    def slug(self, page: Path) -> str:
        """Return `<system>/<module>`, which names a chapter."""
        return page.resolve().relative_to(self.root / self.notes).with_suffix("").as_posix()

    def test_file(self, slug: str) -> Path:
        """Return where the tests of the chapter `slug` are."""
        system, _, stem = slug.rpartition("/")
        return self.root / self.tests / system / f"test_{stem}.py"

    def chapter(self, name: str) -> Path:
        """Return the page that `name` means: a path, `<system>/<module>` or `<module>`."""
        asked = Path(name)
        pages = self.pages()
        if asked.resolve() in pages:
            return asked.resolve()
        slugs = {self.slug(page): page for page in pages}
        fits = [slug for slug in slugs if name in (slug, slug.rpartition("/")[2])]
        if len(fits) == 1:
            return slugs[fits[0]]
        known = ", ".join(slugs) or "none"
        why = "names several chapters: " + ", ".join(fits) if fits else f"is no chapter of: {known}"
        raise PressError([Problem(name, 1, why)])


def _settings(file: Path) -> dict[str, str] | None:
    if not file.is_file():
        return None
    try:
        tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except ValueError as error:
        raise PressError([Problem(str(file), 1, str(error))]) from None
    found: dict[str, str] | None = tools.get("literate")
    if unknown := set(found or ()) - {"notes", "modules", "tests", "docs"}:
        known = "notes, modules, tests, docs"
        message = f"[tool.literate] knows {known}; not {', '.join(sorted(unknown))}"
        raise PressError([Problem(str(file), 1, message)])
    return found


def loaded_files(root: str, opened: Iterable[str] = ()) -> list[str]:
    """Return the project's own files that this process has imported, and those of `opened`."""
    loaded = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    found: set[str] = set()
    for file in {*loaded, *opened} - {""}:
        inside = os.path.relpath(os.path.realpath(file), root)
        hidden = any(part.startswith((".", "__pycache__")) for part in inside.split(os.sep))
        if not hidden and os.path.isfile(file):
            found.add(inside)
    return sorted(found)


FRESH = 2.0
"""Seconds for which a file counts as edited just now."""


def distrust_fresh_bytecode() -> None:
    """Let this process compile anew what was edited just now.

    Python takes compiled code for a file's if their whole seconds and sizes agree, and an edit can
    leave both as they were.
    """
    stats = SourceFileLoader.path_stats

    def path_stats(self: SourceFileLoader, path: str) -> Mapping[str, Any]:
        found = stats(self, path)
        if time.time() - found["mtime"] < FRESH:
            raise OSError(f"{path} was edited just now")
        return found

    SourceFileLoader.path_stats = path_stats
