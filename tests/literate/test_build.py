"""Files made of pressed pages, without a site builder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat

from literate.build import build, homes, ledger
from literate.run import press_all

if TYPE_CHECKING:
    from conftest import Toy


def test_a_build_writes_the_files_of_every_page(toy: Toy) -> None:
    toy.module("", "other")
    picture = (
        ">>> class P:\n...     def __repr__(self): return 'P'\n"
        "...     def _repr_svg_(self): return '<svg><title>t</title><desc>d</desc></svg>'\n"
        ">>> P()\nP\n"
    )
    toy.page(f"```pycon\n{picture}```\n", stem="other")
    pressed = press_all(toy.project.pages(), toy.project)
    out = toy.root / "out"
    files = build(pressed, toy.project, out)
    assert [str(file.relative_to(out)) for file in files] == [
        "ledger.json",
        "toy/m.md",
        "toy/m.ipynb",
        "toy/m.py",
        "toy/other.md",
        "toy/other.ipynb",
        "toy/other.py",
        "toy/other/picture-1.svg",
    ]
    assert all(file.is_file() for file in files)
    assert "(other/picture-1.svg" in toy.read("out/toy/other.md")
    nbformat.validate(nbformat.reads(toy.read("out/toy/m.ipynb"), as_version=4))
    before = {file: file.read_bytes() for file in files}
    assert before == {file: file.read_bytes() for file in build(pressed, toy.project, out)}


def test_the_ledger_accounts_for_every_chapter(toy: Toy) -> None:
    toy.page(
        "```source the docstring, the constants\n```\n\n```source inc, later\n```\n\n"
        "```pycon\n>>> inc(1)\n2\n>>> x = 1\n```\n"
    )
    [account] = ledger(press_all(toy.project.pages(), toy.project))
    assert json.loads(json.dumps(account)) == {
        "page": "notes/toy/m.md",
        "title": "M",
        "module": "chapters/toy/m.py",
        "lines": 7,
        "lines_shown": 7,
        "blocks": {
            "5": [["the docstring", 1, 1], ["ONE", 3, 3]],
            "8": [["inc", 6, 8], ["later", 11, 12]],
        },
        "examples": 2,
        "exercises": 0,
        "mutations": 0,
        "skipped": 0,
    }


def test_a_module_is_at_home_on_its_page(toy: Toy) -> None:
    pressed = press_all(toy.project.pages(), toy.project)
    assert homes(pressed) == {"chapters.toy.m": "notes/toy/m.md"}
