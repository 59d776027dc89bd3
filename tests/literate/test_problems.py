"""How a problem is said."""

from __future__ import annotations

import pytest

from literate.problems import PressError, Problem, counted, mismatch


def test_a_problem_is_a_line_that_an_editor_can_jump_to() -> None:
    assert str(Problem("a.md", 3, "wrong")) == "a.md:3: wrong"
    assert str(Problem("a.md", 3, "wrong", "one\n\ntwo")) == "a.md:3: wrong\n    one\n\n    two"


def test_problems_are_told_once_and_in_order() -> None:
    late, early = Problem("a.md", 10, "x"), Problem("a.md", 9, "x")
    assert str(PressError([late, Problem("a.md", 10, "x"), early])) == "a.md:9: x\na.md:10: x"


@pytest.mark.parametrize(("count", "text"), [(0, "0 pages"), (1, "1 page"), (2, "2 pages")])
def test_a_noun_is_counted(count: int, text: str) -> None:
    assert counted(count, "page") == text


def test_a_long_output_is_cut() -> None:
    shown = mismatch("1\n", "x\n" * 102).splitlines()
    assert shown[:5] == ["Expected:", "    1", "Got:", "    x", "    x"]
    assert (len(shown), shown[-1]) == (104, "    (2 more lines)")
