"""What must hold of every page of the built site, found out by opening each of them once.

A quick run opens the first page of each part only; with WALKTHROUGHS_REQUIRE_REAL=1 it is all.
"""

import functools
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request, expect

pytestmark = pytest.mark.usefixtures("program")

BUDGET = 200_000
"""Bytes that a page may transfer on first view, text compressed."""
TEXT = ("text/", "application/json", "javascript", "svg")
NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
NOTES = Path(__file__).parents[2] / "notes"
SYSTEMS = sorted({note.parent.name for note in NOTES.glob("*/*.md")})
SECTIONS = ("home", *SYSTEMS, "modules", "reference")


def section(path: str) -> str:
    """Return the part of the site that a page belongs to; "home" has all that is in no other."""
    first = "modules" if path.endswith(".py/") else path.partition("/")[0]
    return first if first in SECTIONS else "home"


class Answer(NamedTuple):
    """What came for a request: the size is that from a server which compresses text."""

    url: str
    status: int
    size: int

    @classmethod
    def to(cls, request: Request) -> "Answer":
        """Return the answer to a request; without one, the status is 0."""
        response = request.response()
        if response is None or not response.ok:
            return cls(request.url, response.status if response else 0, 0)
        body = response.body()
        text = any(each in response.headers.get("content-type", "") for each in TEXT)
        return cls(request.url, response.status, compressed(body) if text else len(body))


@functools.lru_cache
def compressed(body: bytes) -> int:
    """Return how many bytes are left of a body."""
    return len(gzip.compress(body, 9))


Violation = tuple[str, str, str]
"""Where, rule, element."""


class Visit(NamedTuple):
    """What came of opening one page."""

    answers: list[Answer]
    said: list[str]
    violations: list[Violation]
    width: int
    """Pixels, on a telephone that has 390."""


Visits = dict[str, Visit]

UNFOLD = """() => {
  document.querySelectorAll("details").forEach((each) => { each.open = true });
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
# Contrast is most of what axe does. That of a text depends on the looks of what it stands in, and
# on nothing else: one text of each kind tells as much as all of them, on one page or on all. So the
# tokens of a listing are merged into its text before axe starts, which moves nothing, and for the
# contrast every text is taken away that is of a kind seen before.
KINDS = """
  const LOOKS = ["class", "style", "aria-disabled", "aria-pressed"];
  const known = new Map();
  const look = (element) => LOOKS.map((name) => element.getAttribute(name)).join();
  const kind = (element) => {
    if (!element) return "";
    if (!known.has(element)) {
      known.set(element, `${kind(element.parentElement)} ${element.localName} ${look(element)}`);
    }
    return known.get(element);
  };
"""
MERGE = f"""() => {{
  {KINDS}
  const seen = new Set();
  const tokens = [...document.querySelectorAll("pre code span")];
  for (const [token, its] of tokens.map((token) => [token, kind(token)])) {{
    if (seen.has(its)) token.replaceWith(...token.childNodes);
    seen.add(its);
  }}
  document.querySelectorAll("pre code").forEach((code) => code.normalize());
}}"""
THIN = f"""(before) => {{
  {KINDS}
  const seen = new Set(before);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push([walker.currentNode, walker.currentNode.parentElement]);
  for (const [text, parent] of texts.filter(([text]) => text.data.trim())) {{
    const its = kind(parent);
    if (seen.has(its)) text.remove();
    else if (parent.checkVisibility({{ visibilityProperty: true }})) seen.add(its);
  }}
  return [...seen].slice(before.length);
}}"""
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
SCROLLING = {"runOnly": {"type": "rule", "values": ["scrollable-region-focusable"]}}
OTHERS = {"rules": {"color-contrast": {"enabled": False}}}


def axe(page: Page, where: str, options: dict[str, Any]) -> list[Violation]:
    """Return the violations that axe finds under `options`."""
    options = {"resultTypes": ["violations"], **options}
    found = page.evaluate("options => axe.run(options).then(found => found.violations)", options)
    return [(where, each["id"], node["html"][:200]) for each in found for node in each["nodes"]]


def colours(page: Page, preferred: str) -> None:
    """Have the system prefer light or dark colours, and wait for the page to follow."""
    page.emulate_media(color_scheme="dark" if preferred == "dark" else "light")
    scheme = {"light": "default", "dark": "slate"}[preferred]
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", scheme)


def contrast(page: Page) -> list[Violation]:
    """Return the texts that are hard to read, in light and dark colours and on a telephone."""
    colours(page, "dark")
    found = axe(page, "dark", CONTRAST)
    colours(page, "light")
    found += axe(page, "light", CONTRAST)
    page.set_viewport_size(NARROW)
    return found + axe(page, "narrow", CONTRAST)


class Visitor:
    """Opens pages, one after the other."""

    def __init__(self, page: Page, ears: Any) -> None:
        self.page = page
        self.ears = ears
        self.kinds: list[str] = []
        """The kinds of text whose contrast has been measured."""

    def visit(self, url: str) -> Visit:
        """Open a page, on a telephone first."""
        self.ears.requests.clear()
        self.ears.said.clear()
        self.page.set_viewport_size(NARROW)
        self.page.goto(url)
        self.page.evaluate(UNFOLD)
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        found = self.violations()
        answers = [Answer.to(request) for request in self.ears.requests]
        return Visit(answers, list(self.ears.said), found, width)

    def violations(self) -> list[Violation]:
        """Return what axe finds on the page: on a telephone all of it on the first page only."""
        page = self.page
        page.evaluate(AXE_SCRIPT)
        page.evaluate(MERGE)
        found = axe(page, "narrow", SCROLLING if self.kinds else OTHERS)
        page.set_viewport_size(WIDE)
        page.evaluate(UNFOLD)
        found += axe(page, "wide", OTHERS)
        new = page.evaluate(THIN, self.kinds)
        self.kinds += new
        return found + contrast(page) if new else found


@pytest.fixture(scope="module", params=SECTIONS)
def visits(
    request: pytest.FixtureRequest,
    browser: Browser,
    address: str,
    paths: list[str],
    listen: Callable[[Page], Any],
) -> Iterator[Visits]:
    """The pages of a part of the site, each opened once."""
    context = browser.new_context(reduced_motion="reduce", color_scheme="light")
    page = context.new_page()
    visitor = Visitor(page, listen(page))
    opened = [path for path in paths if section(path) == request.param]
    if os.environ.get("WALKTHROUGHS_REQUIRE_REAL") != "1":
        del opened[1:]
    yield {path: visitor.visit(address + path) for path in opened}
    context.close()


def test_no_page_asks_another_host(visits: Visits, address: str) -> None:
    asked = {each.url for visit in visits.values() for each in visit.answers}
    assert {url for url in asked if not url.startswith(address)} == set()
    assert min(len(visit.answers) for visit in visits.values()) > 5


def test_everything_a_page_asks_for_is_there(visits: Visits) -> None:
    answers = {each for visit in visits.values() for each in visit.answers}
    assert {each.url: each.status for each in answers if each.status != 200} == {}


def test_no_page_asks_for_the_search_index(visits: Visits) -> None:
    asked = {each.url for visit in visits.values() for each in visit.answers}
    assert {url for url in asked if "search_index" in url} == set()


def test_the_console_is_silent(visits: Visits) -> None:
    assert {name: visit.said for name, visit in visits.items() if visit.said} == {}


def test_a_first_view_is_light(visits: Visits) -> None:
    sizes = {name: sum(each.size for each in visit.answers) for name, visit in visits.items()}
    assert {name: size for name, size in sizes.items() if size > BUDGET} == {}
    assert min(sizes.values()) > 50_000


def test_axe_finds_nothing(visits: Visits) -> None:
    assert {name: visit.violations for name, visit in visits.items() if visit.violations} == {}


def test_a_telephone_needs_no_sideways_scrolling(visits: Visits) -> None:
    assert {name: visit.width for name, visit in visits.items() if visit.width > 390} == {}
