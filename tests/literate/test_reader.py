"""The reader's loop: holes, verdicts, the paragraph that explains a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate import mutants, reader
from literate.grammar import parse
from literate.page import Page
from literate.problems import PressError
from literate.run import read

if TYPE_CHECKING:
    from conftest import Toy

MODULE = '''\
"""Sums."""


def inc(x):
    """Add one."""
    # Not two.
    return x + 1


async def later(x):
    return inc(x)


class C:
    def f(
        self,
    ):
        return 1

    @property
    def documented(self):
        """Say nothing."""


def unseen(): return 1
'''
HOLED = '''\
"""Sums."""


def inc(x):
    """Add one."""
    raise NotImplementedError("write inc; notes/toy/m.md tells how")


async def later(x):
    raise NotImplementedError("write later; notes/toy/m.md tells how")


class C:
    def f(
        self,
    ):
        raise NotImplementedError("write C.f; notes/toy/m.md tells how")

    @property
    def documented(self):
        """Say nothing."""
        raise NotImplementedError("write C.documented; notes/toy/m.md tells how")


def unseen(): return 1
'''
BODY = """\
Above all.

```source the docstring, inc
```

Adding one is
like this.

```pycon
>>> inc(1)
2
```

## Later

```source later, C, unseen
```

```pycon
>>> await later(2)
3
>>> C().f(), C().documented
(1, None)
```
"""
TESTS = "from chapters.toy.m import inc\n\n\ndef test_big():\n    assert inc(100) == 101\n"


@pytest.fixture
def chapter(toy: Toy) -> Toy:
    toy.module(MODULE)
    toy.write("tests/toy/test_m.py", TESTS)
    toy.page(BODY, "holes: [inc, later, C.f, C.documented]")
    return toy


def page_of(toy: Toy) -> Page:
    return read(toy.root / toy.name, toy.project)


def test_bodies_are_taken_out(chapter: Toy) -> None:
    page = page_of(chapter)
    assert reader.holed(page, chapter.project) == HOLED
    only = reader.holed(page, chapter.project, ["C.f"])
    assert only == MODULE.replace("        return 1\n", HOLED.splitlines(keepends=True)[16], 1)
    compile(HOLED, "m.py", "exec")


def test_a_body_on_the_line_of_its_head_is_taken_out(chapter: Toy) -> None:
    holed = reader.holed(page_of(chapter), chapter.project, ["unseen"])
    assert holed.endswith(
        'def unseen():\n    raise NotImplementedError("write unseen; notes/toy/m.md tells how")\n'
    )


def test_an_unknown_hole_is_reported(chapter: Toy) -> None:
    chapter.page(BODY, "holes: [inc, lost]")
    with pytest.raises(PressError) as raised:
        reader.holed(page_of(chapter), chapter.project)
    message = "notes/toy/m.md:4: chapters/toy/m.py has no function 'lost' to take the body out of"
    assert str(raised.value) == message
    assert [str(each) for each in chapter.press().problems] == [message]


def test_the_chapters_own_module_passes(chapter: Toy) -> None:
    file = chapter.write("mine.py", MODULE)
    assert reader.judge(page_of(chapter), chapter.project, file) == reader.Verdict([], "", "")


def test_a_wrong_body_is_explained(chapter: Toy) -> None:
    file = chapter.write("mine.py", MODULE.replace("x + 1", "x + 2"))
    verdict = reader.judge(page_of(chapter), chapter.project, file)
    assert str(verdict.problems[0]) == (
        "notes/toy/m.md:15: the example did something else\n"
        "    Expected:\n        2\n    Got:\n        3"
    )
    assert (len(verdict.problems), verdict.tests, verdict.passed) == (2, "", False)
    assert verdict.explained == "notes/toy/m.md:11, under “M”:\n\nAdding one is\nlike this."


def test_a_body_that_only_the_tests_refuse_is_told(chapter: Toy) -> None:
    file = chapter.write("mine.py", MODULE.replace("x + 1", "min(x + 1, 9)"))
    verdict = reader.judge(page_of(chapter), chapter.project, file)
    assert verdict == reader.Verdict([], "test_big: assert 9 == 101\n +  where 9 = inc(100)", "")


def test_tests_that_do_not_end_are_told(chapter: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LIMIT", 0.5)
    loop = "    while x > 9:\n        pass\n    return x + 1\n"
    file = chapter.write("mine.py", MODULE.replace("    return x + 1\n", loop))
    verdict = reader.judge(page_of(chapter), chapter.project, file)
    assert verdict.tests == "still running after 0.5 s: stopped"


def test_a_file_that_does_not_parse_is_told(chapter: Toy) -> None:
    file = chapter.write("mine.py", "def inc(x:\n")
    verdict = reader.judge(page_of(chapter), chapter.project, file)
    assert str(verdict.problems[0]) == (
        "notes/toy/m.md:1: the module's code raised\n"
        f'      File "{file}", line 1\n        def inc(x:\n               ^\n'
        "    SyntaxError: '(' was never closed"
    )
    assert verdict.explained == ""


def test_a_hole_that_nothing_notices_is_found(chapter: Toy) -> None:
    chapter.page(BODY, "holes: [inc, unseen]")
    assert reader.open_holes(page_of(chapter), chapter.project) == ["unseen"]


def test_the_difference_is_shown(chapter: Toy) -> None:
    file = chapter.write("mine.py", MODULE.replace("x + 1", "1 + x"))
    page = page_of(chapter)
    assert reader.difference(page, chapter.project, file) == (
        f"--- chapters/toy/m.py\n+++ {file}\n@@ -4,7 +4,7 @@\n def inc(x):\n"
        '     """Add one."""\n     # Not two.\n-    return x + 1\n+    return 1 + x\n \n \n'
        " async def later(x):\n"
    )
    chapter.write("mine.py", MODULE)
    assert reader.difference(page, chapter.project, file) == ""


EXPLAINED = {
    "the paragraph above": (
        "One.\n\nTwo,\nthree.\n\n```pycon\n>>> 1\n```\n",
        11,
        "7",
        "Two,\nthree.",
    ),
    "over a fence": ("One.\n\n````c\nx\n\n```\n````\n\n```pycon\n>>> 1\n```\n", 14, "5", "One."),
    "in its section": ("One.\n\n## A\n\nTwo.\n\n## B\n\n```pycon\n>>> 1\n```\n", 14, "", ""),
    "in a container": ("One.\n\n/// exercise | X\nDo it.\n\n```c\n```\n///\n", 10, "8", "Do it."),
    "nothing above": ("```pycon\n>>> 1\n```\n", 6, "", ""),
}


@pytest.mark.parametrize(("body", "line", "at", "text"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_failure_is_explained_by_the_paragraph_above_it(
    body: str, line: int, at: str, text: str
) -> None:
    head = "---\ntitle: M\nmodule: m\n---\n"
    page = (
        parse(head + body, "m.md")
        if "///" not in body
        else Page("m.md", "", {"title": "M"}, (), tuple((head + body).splitlines()), 5)
    )
    expected = f"m.md:{at}, under “M”:\n\n{text}" if text else ""
    assert reader.explanation(page, line) == expected
