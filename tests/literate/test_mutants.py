"""Break it: a mutation applies, its test catches it, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate import mutants
from literate.run import Failed, press_all

if TYPE_CHECKING:
    from conftest import Toy

MODULE = '''\
"""Counting."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Counter:
    count: int = 0

    def up(self):
        """Count."""
        self.count += 1
        return self.count

    def down(self):
        self.count -= 1
        return self.count


def inc(x):
    y = x + 1
    assert y != 100
    return y
'''
TESTS = """\
import os

import pytest

from chapters.toy.m import Counter, inc


def test_inc():
    assert inc(1) == 2


def test_inc_2():
    assert inc(1) == 2
    raise SystemExit(3)


class TestCounter:
    def test_up(self):
        assert Counter().up() == 1


def test_field():
    assert Counter.__dataclass_fields__["count"].type == "int"


def test_anything():
    assert True


def test_broken():
    assert inc(1) == 7


@pytest.mark.skip(reason="no peer here")
def test_skipped():
    pass


def test_leaving():
    if inc(1) != 2:
        os._exit(0)


def test_endless():
    while inc(1) != 2:
        pass


@pytest.fixture
def two():
    assert inc(1) == 2
    return 2


def test_prepared(two):
    assert two == 2
"""
SHOWN = "```source the docstring, the imports, Counter, inc\n```\n\n"


def broken(
    minus: str = "return y", plus: str = "return y + 1", symbol: str = "inc", test: str = "test_inc"
) -> str:
    added = f"+    {plus}\n" if plus else ""
    return (
        f"/// break | {symbol}: {minus}, {plus}, {test}\nProse.\n\n```diff {symbol} test={test}\n"
        f"-    {minus}\n{added}```\n///\n"
    )


@pytest.fixture(scope="module")
def chapter(shared: Toy) -> Toy:
    shared.module(MODULE)
    shared.write("tests/toy/test_m.py", TESTS)
    shared.write("tests/toy/test_lost.py", "import no_such_thing\n\n\ndef test_it(): pass\n")
    return shared


NOT_APPLYING = {
    "no such line": (
        broken(minus="return x"),
        "the mutation does not apply: no line of inc read 'return x'",
    ),
    "two such lines": (
        broken(minus="return self.count", plus="return 0", symbol="Counter"),
        "the mutation does not apply: 2 lines of Counter read 'return self.count'",
    ),
    "no syntax": (
        broken(plus="return ("),
        "the mutation does not apply: line 25: '(' was never closed",
    ),
    "unknown symbol": (
        broken(symbol="incr"),
        "the mutation does not apply: chapters/toy/m.py has no 'incr'; did you mean inc?",
    ),
}


@pytest.mark.parametrize(("body", "message"), NOT_APPLYING.values(), ids=NOT_APPLYING)
def test_a_mutation_that_does_not_apply_is_reported(chapter: Toy, body: str, message: str) -> None:
    assert chapter.reports(SHOWN + body) == [f"notes/toy/m.md:11: {message}"]


JUDGED = {
    "a mutation that nothing catches": (
        broken(plus="return 0 + y"),
        "no test catches the mutation: test_m.py::test_inc passes",
    ),
    "a test that is not there": (
        broken(test="test_outc"),
        "the test test_m.py::test_outc does not run\n    pytest says USAGE_ERROR",
    ),
    "a test that fails anyway": (
        broken(test="test_broken"),
        "the test test_m.py::test_broken fails without the mutation too\n"
        "    test_broken: assert 2 == 7\n     +  where 2 = inc(1)",
    ),
    "a test that is skipped": (
        broken(test="test_skipped"),
        "the test test_m.py::test_skipped does not run\n    Skipped: no peer here",
    ),
    "a test that ends its process": (broken(test="test_leaving"), "its test ended the process"),
}


@pytest.fixture(scope="module")
def judged(chapter: Toy) -> dict[int, str]:
    """What is said of all blocks of JUDGED in one run, by their line."""
    chapter.page(SHOWN + "".join(body for body, _ in JUDGED.values()))
    return {each.line: str(each) for each in chapter.press().problems}


@pytest.mark.parametrize("name", JUDGED)
def test_a_mutation_that_its_test_does_not_catch_is_reported(
    judged: dict[int, str], name: str
) -> None:
    line = 11 + 8 * list(JUDGED).index(name)
    assert judged[line] == f"notes/toy/m.md:{line}: {JUDGED[name][1]}"


def test_a_test_that_cannot_be_imported_is_reported(chapter: Toy) -> None:
    [report] = chapter.reports(SHOWN + broken(test="tests/toy/test_lost.py::test_it"))
    assert report.startswith("notes/toy/m.md:11: the test test_lost.py::test_it does not run\n    ")
    assert "No module named 'no_such_thing'" in report


def test_an_endless_test_is_stopped(chapter: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LIMIT", 0.5)
    assert chapter.reports(SHOWN + broken(test="test_endless")) == [
        "notes/toy/m.md:11: its test was still running after 0.5 s"
    ]


CAUGHT = {
    "a function's line": (
        broken(),
        "test_inc: assert 3 == 2\n +  where 3 = inc(1)",
        " def inc(x):\n     y = x + 1\n     assert y != 100\n-    return y\n+    return y + 1\n",
    ),
    "a line taken out": (
        broken(minus="y = x + 1", plus=""),
        "test_inc: NameError: name 'y' is not defined",
        " def inc(x):\n-    y = x + 1\n     assert y != 100\n     return y\n",
    ),
    "a method's line, by a test in a class": (
        broken("self.count += 1", "self.count += 2", "Counter.up", "TestCounter::test_up"),
        "test_up: assert 2 == 1\n +  where 2 = up()",
        None,
    ),
    "a module compiled as it says itself": (
        broken("count: int = 0", "count: str = 0", "Counter", "test_field"),
        "test_field: AssertionError: assert 'str' == 'int'\n",
        None,
    ),
    "a fixture that fails, in a file that is named": (
        broken(test="tests/toy/test_m.py::test_prepared"),
        "test_prepared: assert 3 == 2\n +  where 3 = inc(1)",
        None,
    ),
}


@pytest.fixture(scope="module")
def caught(chapter: Toy) -> list[dict[str, str]]:
    """The results of all blocks of CAUGHT, of one run."""
    chapter.page(SHOWN + "".join(body for body, _, _ in CAUGHT.values()))
    pressed = chapter.press()
    assert pressed.problems == []
    return [each for _, each in sorted(pressed.results.items()) if "caught" in each]


@pytest.mark.parametrize("name", CAUGHT)
def test_what_a_test_says_of_a_mutation_is_kept(caught: list[dict[str, str]], name: str) -> None:
    _, said, shown = CAUGHT[name]
    result = caught[list(CAUGHT).index(name)]
    assert result["caught"].startswith(said)
    if shown is not None:
        assert result["mutation"] == shown


def test_the_look_has_the_mutation_and_nothing_below_it_has(chapter: Toy) -> None:
    look = "```pycon\n>>> inc(1), Counter().up()\n(%s)\n>>> inc = None\n```\n///\n"
    function = with_look(broken(), look % "3, 1")
    method = broken("self.count += 1", "self.count += 2", "Counter.up", "TestCounter::test_up")
    after = "```pycon\n>>> inc(1), Counter().up()\n(2, 1)\n```\n"
    body = "\n".join([SHOWN, function, with_look(method, look % "2, 2"), after])
    assert chapter.reports(body) == []


def with_look(text: str, look: str) -> str:
    """Put a look, and another end, where a break block ends."""
    assert text.endswith("///\n")
    return text[: -len("///\n")] + look


LOOKS = {
    "another output": (
        "```pycon\n>>> inc(1)\n2\n```\n",
        "notes/toy/m.md:16: the example did something else\n"
        "    Expected:\n        2\n    Got:\n        3",
    ),
    "an endless one": (
        "```pycon limit=0.3\n>>> 1\n1\n>>> while True: pass\n```\n",
        "notes/toy/m.md:18: this was still running after 0.3 s: stopped",
    ),
    "one that leaves": (
        "```pycon\n>>> import os; os._exit(3)\n```\n",
        "notes/toy/m.md:16: the example did something else\n    it ended its process with status 3",
    ),
    "no doctest": (
        "```pycon\n>>> 1\n>>>2\n```\n",
        "notes/toy/m.md:17: not a doctest: it lacks blank after >>>: '>>>2'",
    ),
}


@pytest.mark.parametrize(("look", "report"), LOOKS.values(), ids=LOOKS)
def test_a_look_is_verified(chapter: Toy, look: str, report: str) -> None:
    assert chapter.reports(with_look(SHOWN + broken(), look + "///\n")) == [report]


def test_a_mutation_that_cannot_be_executed_has_no_look(chapter: Toy) -> None:
    text = broken("count: int = 0", "count: int = nothing", "Counter", "test_field")
    look = "```pycon\n>>> 1\n1\n```\n///\n"
    [report] = chapter.reports(with_look(SHOWN + text, look))
    assert report.startswith("notes/toy/m.md:8: the mutated code raised\n    Traceback")
    assert report.endswith("\n    NameError: name 'nothing' is not defined")


def test_what_a_look_lacks_skips_the_block(chapter: Toy) -> None:
    look = "```pycon requires=no-such-thing\n>>> 1\n2\n```\n///\n"
    chapter.page(with_look(SHOWN + broken(), look))
    pressed = chapter.press()
    assert (pressed.problems, pressed.skipped) == ([], {3: "this machine lacks no-such-thing"})


def test_mutants_of_several_pages_are_all_reported(toy: Toy) -> None:
    toy.module(MODULE)
    toy.write("tests/toy/test_m.py", TESTS)
    toy.page(SHOWN + broken(plus="return 0 + y"))
    toy.module("ONE = 1\n", "other")
    toy.write("tests/toy/test_other.py", "def test_one(): pass\n")
    toy.page(
        "```source the constants\n```\n" + broken("ONE = 1", "ONE = 2", "ONE", "test_one"),
        stem="other",
    )
    with pytest.raises(Failed) as failed:
        press_all(toy.project.pages(), toy.project)
    assert str(failed.value) == (
        "notes/toy/m.md:11: no test catches the mutation: test_m.py::test_inc passes\n"
        "notes/toy/other.md:10: no test catches the mutation: test_other.py::test_one passes"
    )
