"""What a reader meets: the built site in a browser.

One browser for the module, and no longer: its event loop would be in the way of other tests.
"""

import functools
import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

BUDGET = 200_000
"""Bytes that a page may transfer on first view, text compressed."""
TEXT = ("text/", "application/json", "javascript", "svg")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WITH_STRIP = "how-to-read/"
CHAPTER = "linux/list_head/"


@pytest.fixture(scope="module")
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    """A browser from this machine."""
    program = next(filter(None, map(shutil.which, NAMES)), None) or require(NAMES[0])
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a new page, its browser's settings as given."""
    contexts: list[Any] = []

    def new(**settings: Any) -> Page:
        contexts.append(browser.new_context(reduced_motion="reduce", **settings))
        return contexts[-1].new_page()

    yield new
    for context in contexts:
        context.close()


class Ears:
    """Hears what a page asks for and what it says."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))


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


class Visit(NamedTuple):
    """What came of opening one page."""

    answers: list[Answer]
    said: list[str]
    violations: list[tuple[str, str, str]]
    """Colours, rule, element."""
    width: int
    """Pixels, on a telephone that has 390."""


UNFOLD = """() => {
  document.querySelectorAll("details").forEach((each) => { each.open = true });
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
# The contrast of a token depends on the classes of what it stands in, and on nothing else: one of
# each kind tells as much as thousands, which would take axe a minute. A line that is thinned out
# need not scroll any more, so what scrolls is asked for before.
THIN = """() => {
  const seen = new Set();
  for (const token of document.querySelectorAll("pre code span[class]")) {
    let kind = "";
    for (let at = token; at; at = at.parentElement) kind += ` ${at.tagName}.${at.className}`;
    if (seen.has(kind)) token.remove();
    seen.add(kind);
  }
}"""


Violation = tuple[str, str, str]
SCROLLING = {"runOnly": {"type": "rule", "values": ["scrollable-region-focusable"]}}


def axe(page: Page, colours: Literal["light", "dark"]) -> list[Violation]:
    """Return what axe finds on a page in the given colours."""
    page.emulate_media(color_scheme=colours)
    scheme = {"light": "default", "dark": "slate"}[colours]
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", scheme)
    return violations(page, colours, {"resultTypes": ["violations"]})


def violations(page: Page, where: str, options: dict[str, Any]) -> list[Violation]:
    """Return the violations that axe finds under `options`."""
    found = page.evaluate("options => axe.run(options).then(found => found.violations)", options)
    return [(where, each["id"], node["html"][:200]) for each in found for node in each["nodes"]]


def wrong(page: Page) -> tuple[int, list[Violation]]:
    """Return how wide a page is on a telephone, and all that axe finds on it, wide and narrow."""
    narrow, wide = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
    found: list[Violation] = []
    page.evaluate(AXE_SCRIPT)
    page.evaluate(UNFOLD)
    page.set_viewport_size(narrow)
    width = page.evaluate("document.scrollingElement.scrollWidth")
    for name, size in (("narrow", narrow), ("wide", wide)):
        page.set_viewport_size(size)
        page.evaluate(UNFOLD)
        found += violations(page, name, SCROLLING)
    page.evaluate(THIN)
    found += axe(page, "light") + axe(page, "dark")
    page.set_viewport_size(narrow)
    return width, found + axe(page, "light")


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str, paths: list[str]) -> dict[str, Visit]:
    """Every page, opened once."""
    made: dict[str, Visit] = {}
    context = browser.new_context(reduced_motion="reduce")
    for path in paths:
        page = context.new_page()
        ears = Ears(page)
        page.goto(address + path)
        width, found = wrong(page)
        answers = [Answer.to(request) for request in ears.requests]
        made[path] = Visit(answers, ears.said, found, width)
        page.close()
    context.close()
    return made


def test_no_page_asks_another_host(visits: dict[str, Visit], address: str) -> None:
    asked = {each.url for visit in visits.values() for each in visit.answers}
    assert {url for url in asked if not url.startswith(address)} == set()
    assert min(len(visit.answers) for visit in visits.values()) > 5


def test_everything_a_page_asks_for_is_there(visits: dict[str, Visit]) -> None:
    answers = {each for visit in visits.values() for each in visit.answers}
    assert {each.url: each.status for each in answers if each.status != 200} == {}


def test_the_console_is_silent(visits: dict[str, Visit]) -> None:
    assert {name: visit.said for name, visit in visits.items() if visit.said} == {}


def test_a_first_view_is_light(visits: dict[str, Visit]) -> None:
    sizes = {name: sum(each.size for each in visit.answers) for name, visit in visits.items()}
    assert {name: size for name, size in sizes.items() if size > BUDGET} == {}
    assert min(sizes.values()) > 50_000


def test_axe_finds_nothing_in_light_or_dark(visits: dict[str, Visit]) -> None:
    assert {name: visit.violations for name, visit in visits.items() if visit.violations} == {}


def test_a_telephone_needs_no_sideways_scrolling(visits: dict[str, Visit]) -> None:
    assert {name: visit.width for name, visit in visits.items() if visit.width > 390} == {}


def test_the_site_also_works_at_the_root_of_a_server(
    look: Callable[..., Page], root_address: str
) -> None:
    page = look()
    ears = Ears(page)
    page.goto(root_address + CHAPTER)
    expect(page.locator(".progress")).to_be_visible()
    page.goto(f"{root_address}404.html")
    page.locator("a.md-logo").first.click()
    expect(page).to_have_title("Walkthroughs")
    assert ears.said == []


def test_without_scripts_everything_is_there(look: Callable[..., Page], address: str) -> None:
    page = look(java_script_enabled=False)
    page.goto(address + WITH_STRIP)
    states = page.locator(".strip__state")
    expect(states).to_have_count(5)
    for index in range(5):
        expect(states.nth(index)).to_be_visible()
    solution = page.locator("details", has_text="Solution")
    expect(solution.locator("pre")).to_be_hidden()
    solution.locator("summary").click()
    expect(solution.locator("pre")).to_be_visible()
    expect(page.get_by_role("button", name="Mark as solved")).to_have_count(0)


def position(page: Page) -> str:
    """Return what the first strip says of itself, having checked that it shows that state alone."""
    said = page.locator(".strip__position").first.inner_text()
    strip = page.locator(".strip").first
    shown = [each.is_visible() for each in strip.locator(".strip__state").all()]
    assert [index for index, visible in enumerate(shown, 1) if visible] == [int(said.split()[0])]
    return said


def test_a_strip_steps_by_buttons_and_by_keys(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + WITH_STRIP)
    strip = page.locator(".strip").first
    assert position(page) == "1 of 5"
    strip.get_by_role("button", name="Next").click()
    assert position(page) == "2 of 5"
    previous = strip.get_by_role("button", name="Previous")
    previous.click()
    expect(previous).to_have_attribute("aria-disabled", "true")
    previous.click(force=True)
    assert position(page) == "1 of 5"
    strip.focus()
    seen: list[str] = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append(position(page)[0])
    assert seen == ["2", "3", "2", "5", "5", "1", "1"]
    expect(page).to_have_url(address + WITH_STRIP)


def test_a_strip_does_not_move_the_page_below_it(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + CHAPTER)
    for strip in page.locator(".strip").all():
        before = strip.evaluate("strip => strip.offsetHeight")
        strip.press("End")
        assert strip.evaluate("strip => strip.offsetHeight") == before


def test_print_shows_every_state_and_no_navigation(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + WITH_STRIP)
    page.emulate_media(media="print")
    expect(page.locator(".strip__state:visible")).to_have_count(5)
    for gone in (
        ".strip__bar",
        ".exercise__mark",
        ".md-sidebar--primary",
        ".md-header",
        ".progress",
    ):
        expect(page.locator(gone).first).to_be_hidden()
    expect(page.locator("details", has_text="Solution").locator("pre")).to_be_visible()


def test_solved_exercises_survive_a_reload(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + CHAPTER)
    exercises = page.locator("[data-exercise]")
    total = exercises.count()
    first = exercises.first.get_by_role("button", name="Mark as solved")
    expect(page.locator(".progress")).to_have_text(f"0 of {total} exercises solved")
    first.click()
    page.reload()
    mark = exercises.first.locator(".exercise__mark")
    expect(mark).to_have_text("Solved")
    expect(mark).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".progress")).to_have_text(f"1 of {total} exercises solved")
    kept = json.loads(page.evaluate("localStorage.getItem('walkthroughs.solved')"))
    assert kept == [exercises.first.get_attribute("data-exercise")]
    mark.click()
    expect(page.locator(".progress")).to_have_text(f"0 of {total} exercises solved")
    assert json.loads(page.evaluate("localStorage.getItem('walkthroughs.solved')")) == []


@pytest.mark.parametrize("kept", ["", "{", '"text"', "null", '{"a": 1}'])
def test_a_mark_works_whatever_the_storage_holds(
    look: Callable[..., Page], address: str, kept: str
) -> None:
    page = look()
    page.add_init_script(f"localStorage.setItem('walkthroughs.solved', {json.dumps(kept)})")
    ears = Ears(page)
    page.goto(address + WITH_STRIP)
    page.get_by_role("button", name="Mark as solved").click()
    expect(page.locator(".progress")).to_have_text("1 of 1 exercises solved")
    assert ears.said == []


def test_a_mark_works_where_nothing_can_be_kept(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.add_init_script(
        "for (const name of ['getItem', 'setItem'])"
        " Storage.prototype[name] = () => { throw new DOMException('refused', 'SecurityError') }"
    )
    page.goto(address + WITH_STRIP)
    page.get_by_role("button", name="Mark as solved").click()
    expect(page.locator(".progress")).to_have_text("1 of 1 exercises solved")


def test_copying_gives_code_without_prompts_and_outputs(
    look: Callable[..., Page], address: str
) -> None:
    page = look(permissions=["clipboard-read", "clipboard-write"])
    page.goto(address + WITH_STRIP)
    copied: list[str] = []
    for block in (page.locator(".example").first, page.locator(".exercise .language-pycon").first):
        block.hover()
        block.locator("button[data-md-type=copy]").click()
        copied.append(page.evaluate("navigator.clipboard.readText()"))
    assert copied == [
        "from walkthroughs.linux.list_head import ListHead, list_add\n"
        'head, old, new = ListHead(), ListHead("old"), ListHead("new")\n'
        "list_add(old, head)\n"
        "head",
        "length(ListHead())\nlength(head)",
    ]


def test_no_line_of_code_stops_the_tab_key(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + CHAPTER)
    assert page.locator(".source pre").count() > 10
    expect(page.locator("pre a")).to_have_count(0)


def test_a_keyboard_reaches_everything(look: Callable[..., Page], address: str) -> None:
    page = look(viewport={"width": 1440, "height": 900})
    page.goto(address + WITH_STRIP)
    page.keyboard.press("Tab")
    expect(page.locator("a.md-skip")).to_be_focused()
    reached: list[str] = []
    wanted = {"md-search__input", "strip", "strip__button", "exercise__mark"}
    for _ in range(150):
        page.keyboard.press("Tab")
        reached += page.evaluate("[...document.activeElement.classList]")
        if wanted <= set(reached):
            break
    assert wanted - set(reached) == set()


def test_the_skip_link_passes_the_navigation(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + WITH_STRIP)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article') !== null")


def test_a_listing_fits_beside_the_navigation(look: Callable[..., Page], address: str) -> None:
    page = look(viewport={"width": 1280, "height": 900})
    page.goto(address + CHAPTER)
    widths = "codes => codes.map(code => [code.scrollWidth, code.clientWidth])"
    found = page.locator(".source pre > code").evaluate_all(widths)
    assert [pair for pair in found if pair[0] > pair[1]] == []
    assert len(found) > 10


def test_search_finds_a_function_by_name(look: Callable[..., Page], address: str) -> None:
    page = look(viewport={"width": 1440, "height": 900})
    page.goto(address)
    # The theme listens to keys; a value that is set at once passes it by.
    page.locator(".md-search__input").press_sequentially("list_bulk_move_tail")
    found = page.locator("a.md-search-result__link", has_text="list_bulk_move_tail").first
    expect(found).to_be_visible()
    found.click()
    expect(page.locator(".md-content mark").first).to_be_attached()


def test_a_link_to_a_line_shows_that_line(look: Callable[..., Page], address: str) -> None:
    page = look()
    page.goto(address + CHAPTER)
    link = page.locator(".source__where a").last
    number = (link.get_attribute("href") or "").rpartition("-")[2]
    link.click()
    expect(page).to_have_url(f"{address}linux/list_head.py/#__span-0-{number}")
    line = page.locator(f"#__span-0-{number}")
    expect(line).to_be_in_viewport()
    header = page.locator(".md-header").bounding_box()
    box = line.bounding_box()
    assert header
    assert box
    assert box["y"] >= header["y"] + header["height"]


def test_colours_follow_the_system_until_the_reader_chooses(
    look: Callable[..., Page], address: str
) -> None:
    page = look(color_scheme="dark")
    page.goto(address)
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    toggle = page.locator("[data-md-component=palette] label:visible")
    toggle.click()
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.reload()
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    toggle.click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    toggle.click()
    page.emulate_media(color_scheme="light")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
