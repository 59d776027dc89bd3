"""The site's pages: the chapters, each module whole, the ledger's table, the glossary's tooltips.

Knows Markdown and file names, and nothing of the site builder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from literate.build import documents, homes, ledger
from literate.grammar import FENCE
from literate.pressed import Pressed
from literate.project import Project
from literate.render import fence
from literate.sitepage import Site
from literate.source import Source

DOWNLOADS = "downloads"
PICTURES = Path(__file__).parent / "pictures" / "pictures.css"
LEDGER = "<!-- ledger -->"
"""Where a page of docs/ wants the table of chapters."""


def with_examples(docs: Path) -> list[Path]:
    """Return the pages of docs/ that hold something for the press to run."""
    return sorted(path for path in docs.rglob("*.md") if path.is_file() and _has_examples(path))


def _has_examples(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    fences = filter(None, map(FENCE.match, lines))
    return any(match["info"].strip().partition(" ")[0] == "pycon" for match in fences)


def pages(pressed: list[Pressed], project: Project, docs: Path) -> dict[str, str]:
    """Return the pages that the press adds to those of docs/, or replaces, by their path there."""
    home = homes(pressed)
    files: dict[str, str] = {}
    for each in pressed:
        if each.page.module:
            files |= _chapter(each, project, home)
        else:
            name = (project.root / each.page.path).relative_to(docs).as_posix()
            files[name] = _front(each) + Site(each, project, home.get).render()
    for path in docs.rglob("*.md"):
        name = path.relative_to(docs).as_posix()
        text = files.get(name) or path.read_text(encoding="utf-8", errors="replace")
        if LEDGER in text:
            files[name] = text.replace(LEDGER, ledger_table(pressed, project))
    return files


def extras(
    pressed: list[Pressed], project: Project, name: str = "", about: str = ""
) -> dict[str, str]:
    """Return the files that are published beside the pages, by their path on the site.

    `name` and `about` are what the site calls itself.
    """
    home = homes(pressed)
    files = {
        "llms.txt": f"# {name}\n\n> {about}\n\n{llms(pressed, project)}",
        "ledger.json": json.dumps(ledger(pressed), indent=1),
        "assets/pictures.css": PICTURES.read_text(encoding="utf-8"),
    }
    for each in pressed:
        if each.page.module and not each.problems:
            made = documents(each, project, home)
            files |= {f"{DOWNLOADS}/{path}": text for path, text in made.items()}
    return files


def _chapter(each: Pressed, project: Project, home: dict[str, str]) -> dict[str, str]:
    slug = project.slug(project.root / each.page.path)
    up = "../" * (slug.count("/") + 1)
    page = Site(each, project, home.get, downloads=f"{up}{DOWNLOADS}/{slug}")
    files = {f"{slug}.md": _front(each) + page.render()}
    if each.entry.source:
        files[f"{slug}.py.md"] = _whole_module(each.entry.source, slug)
    return files


def _front(each: Pressed) -> str:
    """Return the front matter that the site builder gets."""
    if not each.page.module:
        return "".join(f"{line}\n" for line in each.page.lines[: each.page.body - 1])
    keys = {key: each.page.front[key] for key in ("title", "description") if key in each.page.front}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "\n".join(["---", *lines, "---", ""]) if keys else ""


def _whole_module(source: Source, slug: str) -> str:
    """Return the page that shows a module whole, its lines as anchors."""
    stem = slug.rpartition("/")[2]
    name = json.dumps(source.path)
    return (
        f"---\ntitle: {name}\nsearch:\n  exclude: true\n---\n\n# {source.path}\n\n"
        f"Every line of it is walked in [{stem}]({stem}.md).\n\n"
        + fence('python linenums="1"', source.text)
    )


def in_order(pressed: list[Pressed], project: Project, nav: object) -> list[Pressed]:
    """Return the chapters in the order of the table of contents, what it does not name last."""
    contents = list(_paths(nav))
    places = {path: place for place, path in enumerate(contents)}

    def place(each: Pressed) -> int:
        inside = each.page.path.partition("/")[2]
        return places.get(inside, len(places))

    return sorted(pressed, key=place)


def _paths(nav: object) -> Iterator[str]:
    """Yield the pages that a table of contents names: texts in lists and dictionaries."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        yield from _paths(list(cast("dict[str, object]", nav).values()))
    elif isinstance(nav, list):
        for each in cast("list[object]", nav):
            yield from _paths(each)


def ledger_table(pressed: list[Pressed], project: Project) -> str:
    """Return the table of chapters with what the build has verified of each."""
    rows = [
        "| chapter and module | lines shown | examples | exercises | break it |",
        "|---|--:|--:|--:|--:|",
    ]
    for each, account in zip([p for p in pressed if p.page.module], ledger(pressed), strict=True):
        slug = project.slug(project.root / each.page.path)
        chapter = f"[{each.page.title}]({slug}.md)<br>`{account['module']}`"
        shown = f"{account['lines_shown']} of {account['lines']}"
        counts = " | ".join(str(account[key]) for key in ("examples", "exercises", "mutations"))
        rows.append(f"| {chapter} | {shown} | {counts} |")
    return "\n".join(rows)


def llms(pressed: list[Pressed], project: Project) -> str:
    """Return the list of the chapters' Markdown, in the llms.txt form."""
    lines = ["## Chapters", ""]
    for each in pressed:
        if each.page.module:
            slug = project.slug(project.root / each.page.path)
            about = each.page.front.get("description", "")
            lines.append(f"- [{each.page.title}]({DOWNLOADS}/{slug}.md): {about}".rstrip(" :"))
    return "\n".join(lines) + "\n"


def tooltips(docs: Path, page: str) -> str:
    """Return the glossary's terms as abbreviations, for every page but the glossary itself."""
    glossary = docs / "glossary.md"
    if page == glossary.name or not glossary.is_file():
        return ""
    text = glossary.read_text(encoding="utf-8")
    terms = re.findall(r"^(\S[^\n]*)\n:[ ]+((?:.+\n?)+)", text, re.MULTILINE)
    return "\n".join(f"*[{_plain(term)}]: {_plain(meaning)}" for term, meaning in terms)


def _plain(text: str) -> str:
    """Return Markdown as the text of a tooltip: one line, without links and marks."""
    unlinked = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"\{[^}]*\}|[`*]", "", unlinked).split())
