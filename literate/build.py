"""Everything that is made of pressed pages, written into a folder; no site builder needed."""

from __future__ import annotations

import json
from pathlib import Path

from literate.notebook import as_json, as_script, notebook
from literate.pressed import Pressed
from literate.project import Project
from literate.render import Plain


def homes(pressed: list[Pressed]) -> dict[str, str]:
    """Return for each module the page that walks it."""
    return {each.page.module: each.page.path for each in pressed if each.page.module}


def documents(each: Pressed, project: Project, home: dict[str, str]) -> dict[str, str]:
    """Return the page's files by their path below the build folder."""
    slug = project.slug(project.root / each.page.path)
    plain = Plain(each, project, home.get)
    made = notebook(each, project)
    files = {
        f"{slug}.md": plain.render(),
        f"{slug}.ipynb": as_json(made),
        f"{slug}.py": as_script(made),
    }
    folder = slug.rpartition("/")[0]
    return files | {f"{folder}/{name}": svg for name, svg in plain.pictures.items()}


def ledger(pressed: list[Pressed]) -> list[dict[str, object]]:
    """Return the account of every chapter, as `ledger.json` has it."""
    return [
        {
            "page": each.page.path,
            "title": each.page.title,
            "module": each.entry.file,
            "lines": each.entry.lines,
            "lines_shown": each.entry.lines_shown,
            "blocks": {
                str(line): [[part.name, part.start, part.end] for part in parts]
                for line, parts in each.entry.shown.items()
            },
            "examples": len(each.examples),
            "exercises": sum("starter" in result for result in each.results.values()),
            "mutations": sum("caught" in result for result in each.results.values()),
            "skipped": len(each.skipped),
        }
        for each in pressed
        if each.page.module
    ]


def build(pressed: list[Pressed], project: Project, out: Path) -> list[Path]:
    """Write Markdown, pictures, notebooks, scripts and the ledger below `out`."""
    home = homes(pressed)
    files = {"ledger.json": json.dumps(ledger(pressed), indent=1) + "\n"}
    for each in pressed:
        files |= documents(each, project, home)
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in files]
