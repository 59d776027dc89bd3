"""The search: what it finds, and that a page is open before its index is asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.usefixtures("program")

INDEX = "**/search/search_index.json"
INPUT = ".md-search__input"
RESULT = "a.md-search-result__link"
SUGGESTED = "[data-md-component=search-suggest]"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


class Index:
    """Counts the requests for the search index; answers them at once, or when it is told to."""

    def __init__(self, page: Page, held: bool = False) -> None:
        self.asked = 0
        self.waiting: list[Route] = []
        self.held = held
        page.route(INDEX, self.answer)

    def answer(self, route: Route) -> None:
        self.asked += 1
        if self.held:
            self.waiting.append(route)
        else:
            route.continue_()


def by_pointer(page: Page) -> None:
    page.locator(INPUT).click()


def by_focus(page: Page) -> None:
    page.locator(INPUT).focus()


def by_key(key: str) -> Callable[[Page], None]:
    return lambda page: page.keyboard.press(key)


TURNS = {"click": by_pointer, "focus": by_focus} | {key: by_key(key) for key in "/sf"}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_the_index_is_asked_for_when_the_reader_turns_to_search(
    look: Callable[..., Page], address: str, turn: Callable[[Page], None]
) -> None:
    page = look(viewport=WIDE)
    index = Index(page)
    page.goto(address)
    assert index.asked == 0
    with page.expect_response(INDEX) as came:
        turn(page)
    assert came.value.ok
    expect(page.locator(INPUT)).to_be_focused()
    assert index.asked == 1


def test_what_is_typed_before_the_index_has_come_is_found_when_it_comes(
    look: Callable[..., Page], listen: Callable[[Page], Any], address: str
) -> None:
    page = look(viewport=WIDE)
    ears = listen(page)
    index = Index(page, held=True)
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("list_bulk_move_tail")
    expect(page.locator(RESULT)).to_have_count(0)
    index.waiting[0].continue_()
    expect(page.locator(RESULT, has_text="list_bulk_move_tail").first).to_be_visible()
    assert ears.said == []


def test_the_search_suggests_how_a_word_goes_on(look: Callable[..., Page], address: str) -> None:
    page = look(viewport=WIDE)
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("list_bulk")
    expect(page.locator(SUGGESTED)).to_have_text("list_bulk_move_tail")
    page.keyboard.press("ArrowRight")
    expect(page.locator(INPUT)).to_have_value("list_bulk_move_tail")


def test_a_result_leads_to_its_page_with_the_words_marked(
    look: Callable[..., Page], address: str
) -> None:
    page = look(viewport=WIDE)
    page.goto(address)
    page.keyboard.press("/")
    page.keyboard.type("list_bulk_move_tail")
    found = page.locator(RESULT, has_text="list_bulk_move_tail").first
    expect(found).to_be_visible()
    found.click()
    expect(page.locator(".md-content mark").first).to_have_text("list_bulk_move_tail")
    assert "?h=list_bulk_move_tail" in page.url


def test_a_link_may_hold_what_is_searched_for(look: Callable[..., Page], address: str) -> None:
    page = look(viewport=WIDE)
    page.goto(f"{address}?q=list_bulk_move_tail")
    expect(page.locator(INPUT)).to_have_value("list_bulk_move_tail")
    expect(page.locator(RESULT).first).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_telephone_has_the_search_too(
    look: Callable[..., Page], address: str, colours: str
) -> None:
    page = look(viewport=NARROW, color_scheme=colours)
    index = Index(page)
    page.goto(address)
    assert index.asked == 0
    page.locator(".md-header__button[for=__search]").click()
    expect(page.locator(INPUT)).to_be_focused()
    page.keyboard.type("list_bulk_move_tail")
    expect(page.locator(RESULT).first).to_be_in_viewport()
    box = page.locator(".md-search__output").bounding_box()
    assert box
    assert (box["x"], box["width"]) == (0, 390)
