"""What a reader meets: the built site in a browser."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.usefixtures("program")

WITH_STRIP = "how-to-read/"
CHAPTER = "linux/list_head/"


@pytest.fixture(scope="module")
def chapter(browser: Browser, address: str) -> Iterator[Page]:
    """A chapter in a window of 1280 pixels, opened once for all who only look."""
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address + CHAPTER)
    yield page
    context.close()


def test_the_site_also_works_at_the_root_of_a_server(
    look: Callable[..., Page], listen: Callable[[Page], Any], root_address: str
) -> None:
    page = look()
    ears = listen(page)
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


def test_a_strip_does_not_move_the_page_below_it(chapter: Page) -> None:
    for strip in chapter.locator(".strip").all():
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
    look: Callable[..., Page], listen: Callable[[Page], Any], address: str, kept: str
) -> None:
    page = look()
    page.add_init_script(f"localStorage.setItem('walkthroughs.solved', {json.dumps(kept)})")
    ears = listen(page)
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


def test_no_line_of_code_stops_the_tab_key(chapter: Page) -> None:
    assert chapter.locator(".source pre").count() > 10
    expect(chapter.locator("pre a")).to_have_count(0)


def test_a_keyboard_reaches_everything(look: Callable[..., Page], address: str) -> None:
    page = look(viewport={"width": 1440, "height": 900})
    page.goto(address + WITH_STRIP)
    page.keyboard.press("Tab")
    expect(page.locator("a.md-skip")).to_be_focused()
    reached: list[str] = []
    wanted = {"md-search__input", "strip", "strip__button", "exercise__mark"}
    for _ in range(400):
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


def test_a_listing_fits_beside_the_navigation(chapter: Page) -> None:
    widths = "codes => codes.map(code => [code.scrollWidth, code.clientWidth])"
    found = chapter.locator(".source pre > code").evaluate_all(widths)
    assert [pair for pair in found if pair[0] > pair[1]] == []
    assert len(found) > 10


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
