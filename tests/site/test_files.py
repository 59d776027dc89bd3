"""What can be said of the built site by reading its files."""

import ast
import html
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

HERE = "http://site.invalid/"
ROOT = Path(__file__).parents[2]


class Reader(HTMLParser):
    """Collects what a page links to, the anchors it has, and its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.pictures: list[dict[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "svg" and values.get("role") == "img":
            self.pictures.append({"title": "", "desc": ""})
        self.anchors += filter(None, [values.get("id")])
        self.links += [values[name] for name in ("href", "src") if name in values]
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self.pictures and self._open[-1] in self.pictures[-1]:
            self.pictures[-1][self._open[-1]] += data.strip()


@pytest.fixture(scope="module")
def read(site: Path) -> dict[str, Reader]:
    """Every HTML file of the site, by its path."""
    files = sorted(site.rglob("*.html"))
    return {str(file.relative_to(site)): Reader(file.read_text("utf-8")) for file in files}


def internal(name: str, reader: Reader) -> Iterator[tuple[str, str, str]]:
    """Yield each link of a page that stays on the site: as written, the file, the anchor."""
    for link in reader.links:
        url, anchor = urldefrag(urljoin(HERE + name, link))
        if url.startswith(HERE):
            path = unquote(urlsplit(url).path).lstrip("/")
            yield link, path + "index.html" if not path or path.endswith("/") else path, anchor


def test_every_link_and_anchor_leads_somewhere(site: Path, read: dict[str, Reader]) -> None:
    followed = 0
    broken: dict[str, set[str]] = defaultdict(set)
    for name, reader in read.items():
        for link, file, anchor in internal(name, reader):
            followed += 1
            there = file in read or (site / file).is_file()
            if not there or (anchor and anchor not in read[file].anchors):
                broken[name].add(link)
    assert broken == {}
    assert followed > 100


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=[\"'](https?:)?//[^>]*>")
    found = {str(page): loads.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert {name: tags for name, tags in found.items() if tags} == {}


def test_an_anchor_that_is_linked_to_is_there_once(read: dict[str, Reader]) -> None:
    linked = {
        (file, anchor)
        for name, reader in read.items()
        for _, file, anchor in internal(name, reader)
        if anchor
    }
    counts = {(file, anchor): read[file].anchors.count(anchor) for file, anchor in linked}
    assert {place: count for place, count in counts.items() if count > 1} == {}


def test_every_picture_has_a_title_and_a_description(read: dict[str, Reader]) -> None:
    pictures = {name: reader.pictures for name, reader in read.items() if reader.pictures}
    mute = {name: each for name, each in pictures.items() if not all(all(p.values()) for p in each)}
    assert mute == {}
    assert pictures.keys() >= {"index.html", "how-to-read/index.html", "linux/list_head/index.html"}


def test_llms_txt_lists_the_markdown_of_every_chapter(site: Path) -> None:
    links = re.findall(r"^- \[.+?\]\((.+?)\)", (site / "llms.txt").read_text("utf-8"), re.MULTILINE)
    chapters = json.loads((site / "ledger.json").read_text("utf-8"))
    pages = [chapter["page"].removeprefix("notes/") for chapter in chapters]
    assert sorted(links) == sorted(f"downloads/{page}" for page in pages)
    assert [link for link in links if not (site / link).read_text("utf-8").startswith("# ")] == []


def test_every_chapter_can_be_taken_away(site: Path, read: dict[str, Reader]) -> None:
    for chapter in json.loads((site / "ledger.json").read_text("utf-8")):
        slug = chapter["page"].removeprefix("notes/").removesuffix(".md")
        offered = {
            file for _, file, _ in internal(f"{slug}/index.html", read[f"{slug}/index.html"])
        }
        assert offered >= {f"downloads/{slug}.{kind}" for kind in ("ipynb", "py", "md")}
        assert json.loads((site / f"downloads/{slug}.ipynb").read_text("utf-8"))["cells"]


def test_the_home_page_says_what_was_verified(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    for chapter in json.loads((site / "ledger.json").read_text("utf-8")):
        assert f"{chapter['lines_shown']} of {chapter['lines']}</td>" in home
        assert chapter["lines_shown"] == chapter["lines"]


def numbered(page: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page's source blocks with the numbers that stand beside them."""
    page = re.sub(r'<div class="quote".*?</code></pre>', "", page, flags=re.DOTALL)
    for block in re.findall(r'<div class="source"[^>]*>(.*?</code></pre>)', page, re.DOTALL):
        for line in re.findall(r'data-linenos=" *(\d+) *"></span>(.*)', block):
            yield int(line[0]), html.unescape(re.sub(r"<[^>]*>", "", line[1]))


def test_a_page_shows_every_line_of_its_module_with_its_number(site: Path) -> None:
    for chapter in json.loads((site / "ledger.json").read_text("utf-8")):
        slug = chapter["page"].removeprefix("notes/").removesuffix(".md")
        shown = list(numbered((site / slug / "index.html").read_text("utf-8")))
        lines = (ROOT / chapter["module"]).read_text("utf-8").splitlines()
        expected = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        assert [(number, line) for number, line in shown if line.strip()] == expected


def test_the_environment_of_the_site_has_what_the_tests_of_chapters_import() -> None:
    # Building the site runs some of them, for the blocks that break a module.
    locked = (ROOT / "requirements/site.txt").read_text("utf-8")
    installed = set(re.findall(r"^([\w.-]+)==", locked, re.MULTILINE))
    tests = [file for name in ("linux", "swarm") for file in (ROOT / "tests" / name).glob("*.py")]
    imported = {name for file in tests for name in imports(file)} - sys.stdlib_module_names
    providers = packages_distributions()
    missing = {
        name
        for name in imported - {"walkthroughs", "literate", "tests"}
        if not {each.lower().replace("_", "-") for each in providers[name]} & installed
    }
    assert missing == set()


def imports(file: Path) -> Iterator[str]:
    """Yield the packages that a file imports."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
