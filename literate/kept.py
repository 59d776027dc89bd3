"""Kept results: what a page's run gave, for as long as nothing that it depends on has changed.

The key is the content of the page's blocks (a change of prose alone runs nothing), the
interpreter and the locked requirements; beside it stand digests of every file of the project that
the run imported or read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

from literate.page import Block, Break, Page
from literate.pressed import Json, Pressed
from literate.project import Project

FOLDER = ".cache/literate"


class Kept:
    """The kept result of one page."""

    def __init__(
        self, page: Page, project: Project, steps: list[Json], skipped: dict[int, str]
    ) -> None:
        self.project = project
        name = page.path.removesuffix(".md").replace("/", ".") + ".json"
        self.file = project.root / FOLDER / name
        content = [_without_lines(step) for step in steps]
        settings = [page.front.get("limit"), page.front.get("page_limit"), sorted(skipped.items())]
        tests = [[b.symbol, b.minus, b.plus, b.test] for b in page.blocks if isinstance(b, Break)]
        identity = [content, settings, tests, page.module, sys.version, _lock_digest(project)]
        self.key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        # Outcomes are kept relative to their block, so that they outlive a change of prose.
        self.lines = {i: _anchor(block) for i, block in enumerate(page.blocks)}

    def load(self, pressed: Pressed) -> bool:
        """Take the kept result if nothing that it depends on has changed."""
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            same = kept["key"] == self.key and kept["files"] == self._digests(list(kept["files"]))
        except (OSError, ValueError, LookupError, TypeError):
            return False  # none yet, or nothing that this version of the press has written
        if not same:
            return False
        pressed.results = {int(i): self._shift(int(i), r, 1) for i, r in kept["results"].items()}
        pressed.files = list(kept["files"])
        pressed.cached = True
        return True

    def save(self, pressed: Pressed) -> None:
        """Keep a result; written beside and moved, so that a reader never sees half of it."""
        results = {i: self._shift(i, r, -1) for i, r in pressed.results.items()}
        kept = {"key": self.key, "files": self._digests(pressed.files), "results": results}
        with contextlib.suppress(OSError):  # where nothing can be kept, everything runs again
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.file.parent, delete=False) as beside:
                json.dump(kept, beside)
            os.replace(beside.name, self.file)

    def _shift(self, index: int, result: Json, sign: int) -> Json:
        by = sign * self.lines.get(index, 0)
        moved = [each | {"line": each["line"] + by} for each in result.get("outcomes", [])]
        return result | ({"outcomes": moved} if moved else {})

    def _digests(self, files: list[str]) -> dict[str, str]:
        return {file: _digest(self.project.root / file) for file in files}


def _anchor(block: Block) -> int:
    """Return the line that moves with the block's examples."""
    return block.look.line if isinstance(block, Break) and block.look else block.line


def _without_lines(step: Json) -> Json:
    """Return what a step does, without where on the page it stands."""
    same = {k: v for k, v in step.items() if k not in ("line", "first", "block")}
    for key in ("starter", "check", "solution"):
        if key in same:
            same[key] = same[key][1]
    return same


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _lock_digest(project: Project) -> str:
    return _digest(project.root / "requirements/site.txt")
