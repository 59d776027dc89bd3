"""What a page can show of a chapter's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate.verified import outcomes, project_text

if TYPE_CHECKING:
    from conftest import Toy

FILE = "tests/toy/test_n.py"
TESTS = """\
import pytest

from chapters.toy.m import inc


def test_passes():
    assert inc(1) == 2


@pytest.mark.parametrize("x", [1, 2, 3])
def test_fails_once(x):
    assert inc(x) != 3


def test_is_skipped():
    pytest.skip("not today")
"""
NAMES = ["test_passes", "test_fails_once", "test_is_skipped"]
SAID = {
    "test_passes": "1 passed",
    "test_fails_once": "1 failure, 2 passed",
    "test_is_skipped": "1 skipped",
}


@pytest.fixture
def here(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.chdir(toy.root)
    toy.write(FILE, TESTS)
    return toy


def test_outcomes_count_the_runs_of_each_test(here: Toy) -> None:
    assert outcomes(FILE, NAMES) == SAID


def test_outcomes_are_kept_until_something_that_decides_them_changes(here: Toy) -> None:
    assert outcomes(FILE, NAMES) == SAID
    [kept] = (here.root / ".cache/literate/outcomes").iterdir()
    kept.write_text('{"from": "the file"}')
    assert outcomes(FILE, NAMES) == {"from": "the file"}
    here.replace("chapters/toy/m.py", "ONE = 1", "ONE = 2")
    assert outcomes(FILE, ["test_passes"]) == {"test_passes": "1 failure"}


def test_a_test_that_is_not_there_is_an_error(here: Toy) -> None:
    with pytest.raises(RuntimeError, match=r"not found: .*test_n\.py::test_nothing"):
        outcomes(FILE, ["test_nothing"])


def test_a_page_can_read_a_file_of_the_project(here: Toy) -> None:
    assert project_text(FILE) == TESTS
