"""Front matter: known keys, of the right kind."""

from __future__ import annotations

import pytest

from literate.front import key_line, read_front

KNOWN = "title, module, description, upstream, needs, holes, requires, limit, page_limit"
GOOD = ["title: T", "module: m"]


def wrong(*lines: str, needed: bool = True) -> list[str]:
    found: list[str] = []
    read_front(list(lines), needed, lambda line, what: found.append(f"{line}: {what}"))
    return found


WRONG = {
    "none": (["Text."], ["1: the page has no front matter: it starts with --- and names a module"]),
    "never closed": (["---", *GOOD], ["1: the front matter is never closed by a second ---"]),
    "no YAML": (
        ["---", *GOOD, "holes: [a", "---"],
        ["4: bad front matter: expected ',' or ']', but got '<stream end>'"],
    ),
    "a tab": (
        ["---", "title:\tT", "\tx: 1", "---"],
        ["2: bad front matter: found character '\\t' that cannot start any token"],
    ),
    "a control character": (
        ["---", "title: \x07", "---"],
        ["1: bad front matter: unacceptable character #x0007: special characters are not allowed"],
    ),
    "no keys": (["---", "text", "---"], ["2: bad front matter: it must be `key: value` lines"]),
    "empty": (["---", "---"], ["2: bad front matter: it must be `key: value` lines"]),
    "an unknown key": (
        ["---", *GOOD, "color: red", "---"],
        [f"4: unknown front matter key 'color' (known: {KNOWN})"],
    ),
    "a key missing": (
        ["---", "description: D", "---"],
        ["1: the front matter has no 'title'", "1: the front matter has no 'module'"],
    ),
    "a word for a list": (
        ["---", *GOOD, "needs: a", "---"],
        ["4: front matter 'needs' must be a list, not 'a'"],
    ),
    "a number for a word": (
        ["---", "title: 3", "module: m", "---"],
        ["2: front matter 'title' must be a str, not 3"],
    ),
    "nothing for a word": (
        ["---", "title:", "module: m", "---"],
        ["2: front matter 'title' must be a str, not None"],
    ),
    "a word for a number": (
        ["---", *GOOD, "limit: long", "---"],
        ["4: front matter 'limit' must be a positive number, not 'long'"],
    ),
    "no time at all": (
        ["---", *GOOD, "limit: 0", "page_limit: -1", "---"],
        [
            "4: front matter 'limit' must be a positive number, not 0",
            "5: front matter 'page_limit' must be a positive number, not -1",
        ],
    ),
    "a truth for a number": (
        ["---", *GOOD, "limit: yes", "---"],
        ["4: front matter 'limit' must be a positive number, not True"],
    ),
    "an unknown key of upstream": (
        ["---", *GOOD, "upstream: {project: p, color: red, age: 3}", "---"],
        ["4: unknown upstream keys: age, color"],
    ),
}


@pytest.mark.parametrize(("lines", "expected"), WRONG.values(), ids=WRONG)
def test_bad_front_matter_is_reported(lines: list[str], expected: list[str]) -> None:
    assert wrong(*lines) == expected


def test_front_matter_is_returned_with_the_line_below_it() -> None:
    lines = ["---", *GOOD, "limit: 2.5", "upstream: {project: p, version: '1', files: [a], url: u}"]
    front, first = read_front([*lines, "---", "Text."], True, lambda line, what: None)
    upstream = {"project": "p", "version": "1", "files": ["a"], "url": "u"}
    assert front == {"title": "T", "module": "m", "limit": 2.5, "upstream": upstream}
    assert first == 7


def test_a_page_of_docs_has_keys_of_its_own() -> None:
    assert wrong("Text.", needed=False) == []
    assert wrong("---", "hide: [toc]", "---", needed=False) == []
    assert wrong("---", "limit: x", "---", needed=False) == [
        "2: front matter 'limit' must be a positive number, not 'x'"
    ]


def test_a_key_has_a_line() -> None:
    assert [key_line(["---", "title: T", "holes:", "---"], key) for key in ("holes", "needs")] == [
        3,
        1,
    ]
