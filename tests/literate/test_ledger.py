"""The account of a module: every line on one page, once, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate.grammar import parse
from literate.ledger import check_holes, enter, pairing
from literate.run import read
from literate.source import Source

if TYPE_CHECKING:
    from conftest import Toy

MODULE = '''\
"""Sums."""

import sys

ONE = 1
TWO = 2


class C:
    """Doc."""

    def f(self):
        return 1

    def g(self):
        return 2


def last():
    pass
'''
REST = "the docstring, the imports, the constants"
ACCOUNTS = {
    "whole": ([f"{REST}, C, last"], []),
    "a class in parts": ([REST, "class C", "C.f", "C.g, last"], []),
    "constants by name": (["the docstring, the imports, ONE", "TWO, C, last"], []),
    "a part never shown": (
        [f"{REST}, C"],
        [
            (
                "chapters/toy/m.py:19: last (line 19-20) is never shown; "
                "it belongs after notes/toy/m.md:5"
            )
        ],
    ),
    "a line never shown": (
        ["the docstring, ONE, TWO", "C", "last"],
        [
            (
                "chapters/toy/m.py:3: the imports (line 3) is never shown; "
                "it belongs after notes/toy/m.md:5"
            )
        ],
    ),
    "nothing shown": (
        [],
        [
            f"chapters/toy/m.py:{where} is never shown; it belongs after notes/toy/m.md:1"
            for where in (
                "1: the docstring (line 1)",
                "3: the imports (line 3)",
                "5: ONE (line 5)",
                "6: TWO (line 6)",
                "9: C (line 9-16)",
                "19: last (line 19-20)",
            )
        ],
    ),
    "a part shown twice": (
        [f"{REST}, C", "C, last"],
        ["notes/toy/m.md:7: C (chapters/toy/m.py:9) is shown twice (first at notes/toy/m.md:5)"],
    ),
    "a constant shown twice": (
        [REST, "TWO, C, last"],
        ["notes/toy/m.md:7: TWO (chapters/toy/m.py:6) is shown twice (first at notes/toy/m.md:5)"],
    ),
    "out of order": (
        [f"{REST}, last", "C"],
        [
            "notes/toy/m.md:7: C (chapters/toy/m.py:9) is out of order: line 19 is already shown",
        ],
    ),
    "a class and then a part of it": (
        [f"{REST}, C", "C.g, last"],
        ["notes/toy/m.md:7: C.g (chapters/toy/m.py:15) is shown twice (first at notes/toy/m.md:5)"],
    ),
    "a class's head and then the class": (
        [f"{REST}, class C", "C, last"],
        [
            (
                "chapters/toy/m.py:12: C.f (line 12-13) is never shown; "
                "it belongs after notes/toy/m.md:5"
            ),
            (
                "chapters/toy/m.py:15: C.g (line 15-16) is never shown; "
                "it belongs after notes/toy/m.md:5"
            ),
            "notes/toy/m.md:7: C (chapters/toy/m.py:9) is shown twice (first at notes/toy/m.md:5)",
        ],
    ),
    "a class with a method missing": (
        [f"{REST}, class C, C.f", "last"],
        [
            (
                "chapters/toy/m.py:15: C.g (line 15-16) is never shown; "
                "it belongs after notes/toy/m.md:5"
            ),
        ],
    ),
    "a class without its head": (
        [REST, "C.f, C.g, last"],
        [
            (
                "chapters/toy/m.py:9: class C (line 9-10) is never shown; "
                "it belongs after notes/toy/m.md:5"
            ),
        ],
    ),
    "a class's methods out of order": (
        [f"{REST}, class C", "C.g, C.f", "last"],
        ["notes/toy/m.md:7: C.f (chapters/toy/m.py:12) is out of order: line 15 is already shown"],
    ),
    "unknown symbols": (
        [f"{REST}, C, lost, zzz", "last"],
        [
            "notes/toy/m.md:5: chapters/toy/m.py has no 'lost'; did you mean last?",
            "notes/toy/m.md:5: chapters/toy/m.py has no 'zzz'",
        ],
    ),
}


def test_a_module_may_not_hide_the_check_of_exercises(shared: Toy) -> None:
    shared.module("def check():\n    pass\n")
    entry = enter(read(shared.page(page("check")), shared.project), shared.project)
    assert list(map(str, entry.problems)) == [
        "notes/toy/m.md:5: check (chapters/toy/m.py:1) hides the check of a notebook's exercises: "
        "rename it"
    ]


def page(*blocks: str) -> str:
    return "".join(f"```source {block}\n```\n" for block in blocks)


@pytest.mark.parametrize(("blocks", "problems"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_every_line_is_shown_once_in_order(
    shared: Toy, blocks: list[str], problems: list[str]
) -> None:
    shared.module(MODULE)
    entry = enter(read(shared.page(page(*blocks)), shared.project), shared.project)
    assert list(map(str, sorted(entry.problems))) == problems


def test_a_line_added_to_the_module_is_missed_on_the_page(toy: Toy) -> None:
    toy.replace("chapters/toy/m.py", "async def", "LOST = 1\n\n\nasync def")
    assert [str(each) for each in toy.press().problems] == [
        "chapters/toy/m.py:11: LOST (line 11) is never shown; it belongs after notes/toy/m.md:12"
    ]


def test_a_block_deleted_from_the_page_is_missed(toy: Toy) -> None:
    toy.replace(toy.name, "```source later\n```\n", "")
    assert [str(each) for each in toy.press().problems] == [
        (
            "chapters/toy/m.py:11: later (line 11-12) is never shown; "
            "it belongs after notes/toy/m.md:12"
        )
    ]


def test_a_symbol_deleted_from_the_module_is_missed(toy: Toy) -> None:
    toy.replace("chapters/toy/m.py", "\n\nasync def later(x):\n    return inc(x)\n", "")
    assert [str(each) for each in toy.press().problems] == [
        "notes/toy/m.md:20: chapters/toy/m.py has no 'later'"
    ]


def test_a_class_is_executed_when_its_last_part_is_shown(shared: Toy) -> None:
    shared.module(MODULE)
    blocks = page(REST, "class C", "C.f", "C.g, last")
    entry = enter(read(shared.page(blocks), shared.project), shared.project)
    assert {line: [part.name for part in parts] for line, parts in entry.shown.items()} == {
        5: ["the docstring", "the imports", "ONE", "TWO"],
        7: ["class C"],
        9: ["C.f"],
        11: ["C.g", "last"],
    }
    assert {line: [part.name for part in parts] for line, parts in entry.runs.items()} == {
        5: ["the docstring", "the imports", "ONE", "TWO"],
        7: [],
        9: [],
        11: ["C", "last"],
    }


def test_the_share_counts_lines_that_are_not_blank(shared: Toy) -> None:
    shared.module(MODULE)
    entry = enter(read(shared.page(page(REST, "class C, C.f")), shared.project), shared.project)
    assert (entry.lines, entry.lines_shown, entry.share) == (12, 8, 8 / 12)


NO_MODULE = {
    "no such module": (
        None,
        "notes/toy/m.md:3: there is no module chapters.toy.m (chapters/toy/m.py)",
    ),
    "a syntax error": ("x = (", "chapters/toy/m.py:1: syntax error: '(' was never closed"),
}


@pytest.mark.parametrize(("text", "message"), NO_MODULE.values(), ids=NO_MODULE)
def test_a_page_without_a_readable_module_is_reported(
    toy: Toy, text: str | None, message: str
) -> None:
    (toy.root / "chapters/toy/m.py").unlink()
    if text is not None:
        toy.module(text)
    pressed = toy.press()
    assert (list(map(str, pressed.problems)), pressed.results) == ([message], {})


def test_a_hole_names_a_function(toy: Toy) -> None:
    text = "---\ntitle: M\nmodule: chapters.toy.m\nholes: [C.f, last, C, C.h]\n---\n"
    source = Source(MODULE, "chapters/toy/m.py")
    assert [str(each) for each in check_holes(parse(text, "m.md"), source)] == [
        "m.md:4: chapters/toy/m.py has no function 'C' to take the body out of",
        "m.md:4: chapters/toy/m.py has no function 'C.h' to take the body out of",
    ]


PAIRS = {
    "all in pairs": ({}, []),
    "a module without a page": (
        {"chapters/toy/lost.py": ""},
        [
            (
                "chapters/toy/lost.py:1: no page walks chapters.toy.lost; "
                "it belongs in notes/toy/lost.md"
            )
        ],
    ),
    "two pages for one module": (
        {"notes/toy/n.md": "---\ntitle: N\nmodule: chapters.toy.m\n---\n"},
        ["notes/toy/n.md:1: chapters.toy.m already has a page: notes/toy/m.md"],
    ),
    "a page away from its module": (
        {"chapters/toy/n.py": "", "notes/toy/o.md": "---\ntitle: O\nmodule: chapters.toy.n\n---\n"},
        ["notes/toy/o.md:1: the page of chapters.toy.n belongs in notes/toy/n.md"],
    ),
    "code in a package's file": (
        {"chapters/toy/__init__.py": '"""Toys."""\n\nimport os\n'},
        [
            (
                "chapters/toy/__init__.py:3: this file has no page, so "
                "it holds a docstring and nothing else"
            )
        ],
    ),
    "a package's file that does not parse": (
        {"chapters/toy/__init__.py": "x = (\n"},
        ["chapters/toy/__init__.py:1: syntax error: '(' was never closed"],
    ),
    "one call in a main file": (
        {"chapters/toy/__main__.py": '"""Run."""\n\nfrom chapters.toy.m import inc\n\ninc(1)\n'},
        [],
    ),
    "two calls in a main file": (
        {"chapters/toy/__main__.py": '"""Run."""\n\nprint()\nprint()\n'},
        [
            (
                "chapters/toy/__main__.py:4: this file has no page, so "
                "it holds a docstring, imports and one call"
            )
        ],
    ),
    "a folder called like a page": ({"notes/toy/folder.md/x.txt": ""}, []),
}


@pytest.mark.parametrize(("files", "problems"), PAIRS.values(), ids=PAIRS)
def test_pages_and_modules_go_in_pairs(
    toy: Toy, files: dict[str, str], problems: list[str]
) -> None:
    for path, text in files.items():
        toy.write(path, text)
    pages = [read(path, toy.project) for path in toy.project.pages()]
    assert [str(each) for each in pairing(pages, toy.project)] == problems
