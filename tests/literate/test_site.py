"""What the press adds to a site, without its builder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate.run import Failed, press_all
from literate.site import extras, in_order, pages, tooltips, with_examples

if TYPE_CHECKING:
    from conftest import Toy

GLOSSARY = """\
# Glossary

`ring`
:   A [list](index.md) that *ends* where
    it begins{ .x }.

Two words
:   Defined.
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```pycon\n>>> 1\n```\n", True),
        ("    ```pycon x\n", True),
        ("```text\n```\n", False),
        ("", False),
    ],
)
def test_a_page_of_docs_may_have_examples(toy: Toy, text: str, expected: bool) -> None:
    page = toy.write("docs/x.md", text)
    assert with_examples(page.parent) == ([page] if expected else [])


def test_terms_become_tooltips_everywhere_but_in_the_glossary(toy: Toy) -> None:
    docs = toy.write("docs/glossary.md", GLOSSARY).parent
    assert tooltips(docs, "toy/m.md") == (
        "*[ring]: A list that ends where it begins.\n*[Two words]: Defined."
    )
    assert tooltips(docs, "glossary.md") == ""
    assert tooltips(toy.root, "toy/m.md") == ""


def test_a_chapter_becomes_its_page_and_its_module_whole(toy: Toy) -> None:
    docs = toy.write("docs/index.md", "<!-- ledger -->\n").parent
    pressed = press_all(toy.project.pages(), toy.project)
    made = pages(pressed, toy.project, docs)
    assert sorted(made) == ["index.md", "toy/m.md", "toy/m.py.md"]
    assert toy.read("chapters/toy/m.py") in made["toy/m.py.md"]
    row = "| [M](toy/m.md)<br>`chapters/toy/m.py` | 7 of 7 | 1 | 0 | 0 |"
    assert row in made["index.md"]
    assert sorted(name for name in extras(pressed, toy.project) if "assets" not in name) == [
        "downloads/toy/m.ipynb",
        "downloads/toy/m.md",
        "downloads/toy/m.py",
        "ledger.json",
        "llms.txt",
    ]
    assert extras(pressed, toy.project, "Toys", "Small.")["llms.txt"] == (
        "# Toys\n\n> Small.\n\n## Chapters\n\n- [M](downloads/toy/m.md)\n"
    )


def test_chapters_stand_in_the_order_of_the_contents(toy: Toy) -> None:
    for name in "no":
        toy.module("ONE = 1\n", name)
        toy.page("```source ONE\n```\n", stem=name)
    pressed = press_all(toy.project.pages(), toy.project)
    nav = ["index.md", {"Toys": ["toy/o.md", {"More": "toy/m.md"}]}]
    ordered = in_order(pressed, toy.project, nav)
    assert [each.page.path[-4:] for each in ordered] == ["o.md", "m.md", "n.md"]


@pytest.mark.parametrize(
    "text", ["Text.\n", "---\ntitle: M\nmodule: chapters.lost\n---\n```source x\n```\n"]
)
def test_a_page_that_is_being_written_has_its_place(toy: Toy, text: str) -> None:
    toy.write(toy.name, text)
    docs = toy.write("docs/index.md", "# X\n").parent
    with pytest.raises(Failed) as failed:
        press_all(toy.project.pages(), toy.project)
    made = pages(failed.value.pressed, toy.project, docs)
    assert made["toy/m.md"].count("!!! failure") == 1
    assert "downloads/toy/m.md" not in extras(failed.value.pressed, toy.project)
