"""What a quote block names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate.quotes import resolve
from literate.source import UnknownSymbol

if TYPE_CHECKING:
    from conftest import Toy

NAMED = {
    "inc": ("chapters/toy/m.py", ["inc"], "chapters.toy.m"),
    "class C": ("chapters/toy/m.py", ["class C"], "chapters.toy.m"),
    "chapters.toy.other.C": ("chapters/toy/other.py", ["C"], "chapters.toy.other"),
}
SHOWN = "```source the docstring, the constants, inc, later\n```\n"


def test_a_quote_names_a_symbol_of_this_module_or_of_another(toy: Toy) -> None:
    of_class = "class C:\n    def f(self): pass\n"
    toy.module(toy.read("chapters/toy/m.py") + of_class)
    toy.module(of_class, "other")
    entry = toy.press().entry
    found = {
        name: (source.path, [part.name for part in parts], module)
        for name in NAMED
        for source, parts, module in [resolve(name, entry, toy.project)]
    }
    assert found == NAMED


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lost", "notes/toy/m.md:7: no module of this project has 'lost'"),
        (
            "chapters.toy.lost.f",
            "notes/toy/m.md:7: no module of this project has 'chapters.toy.lost.f'",
        ),
        (
            "chapters.toy.m.incr",
            "notes/toy/m.md:7: chapters/toy/m.py has no 'incr'; did you mean inc?",
        ),
    ],
)
def test_a_quote_of_nothing_is_reported(toy: Toy, name: str, message: str) -> None:
    assert toy.reports(f"{SHOWN}```quote {name}\n```\n") == [message]
    with pytest.raises(UnknownSymbol):
        resolve(name, toy.press().entry, toy.project)


def test_a_quote_of_a_module_that_does_not_parse_is_reported(toy: Toy) -> None:
    toy.module("x = (", "bad")
    assert toy.reports(f"{SHOWN}```quote chapters.toy.bad.f\n```\n") == [
        "chapters/toy/bad.py:1: syntax error: '(' was never closed"
    ]
