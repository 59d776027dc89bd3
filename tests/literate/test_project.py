"""Where things are, and how they are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from literate.problems import PressError
from literate.project import Project, loaded_files

if TYPE_CHECKING:
    from conftest import Toy


def test_a_project_is_found_from_anywhere_in_it(toy: Toy) -> None:
    assert Project.find(toy.root / "notes/toy") == Project(toy.root, modules="chapters")


def test_a_stem_ties_page_module_and_test(toy: Toy) -> None:
    project, page = toy.project, toy.root / toy.name
    assert project.slug(page) == "toy/m"
    assert project.test_file("toy/m") == toy.root / "tests/toy/test_m.py"
    assert project.module_file("chapters.toy.m") == toy.root / "chapters/toy/m.py"
    assert project.module_name(toy.root / "chapters/toy/m.py") == "chapters.toy.m"
    assert project.module_files() == [toy.root / "chapters/toy/m.py"]
    assert project.pages() == [page]


def test_a_path_is_named_as_messages_name_it(toy: Toy) -> None:
    assert toy.project.relative(toy.root / "notes/../notes/x.md") == "notes/x.md"
    assert toy.project.relative(Path("/elsewhere/x.md")) == "/elsewhere/x.md"


SETTINGS = {
    "no TOML": ("[tool", "Expected ']' at the end of a table declaration (at end of document)"),
    "an unknown setting": (
        "[tool.literate]\npages = 'x'\ncolor = 'red'\n",
        "[tool.literate] knows notes, modules, tests, docs; not color, pages",
    ),
}


@pytest.mark.parametrize(("text", "message"), SETTINGS.values(), ids=SETTINGS)
def test_bad_settings_are_reported(toy: Toy, text: str, message: str) -> None:
    toy.write("pyproject.toml", text)
    with pytest.raises(PressError) as raised:
        Project.find(toy.root)
    assert str(raised.value) == f"{toy.root}/pyproject.toml:1: {message}"


def test_files_outside_and_hidden_ones_are_not_the_projects(toy: Toy) -> None:
    hidden = toy.write(".cache/x", "")
    opened = [str(toy.root / "chapters/toy/m.py"), str(hidden), __file__, str(toy.root / "lost")]
    assert loaded_files(str(toy.root), opened) == ["chapters/toy/m.py"]
