"""One example: what it shows, how it is judged, what is said when it fails."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from literate.doctests import Outcome
from literate.session import Session


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> Iterator[None]:
    """Let the collections of a session's end look at its own objects alone."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session(vars(ModuleType("chapter")), "page.md")
    yield made
    made.close()


def run(session: Session, text: str, first: int = 1) -> list[Outcome]:
    return list(session.run(text, first))


def reports(session: Session, text: str) -> list[str]:
    return [each.report for each in run(session, text) if each.report]


TRACE = "Traceback (most recent call last):\n"
PASSES = {
    "a value": ">>> 1 + 1\n2\n",
    "nothing": ">>> x = 1\n",
    "None": ">>> None\n",
    "an ellipsis": ">>> list(range(20))\n[0, 1, ..., 19]\n",
    "a blank line": ">>> print('a\\n\\nb')\na\n<BLANKLINE>\nb\n",
    "whitespace, where it is said not to count": (
        ">>> print('a   b')  # doctest: +NORMALIZE_WHITESPACE\na b\n"
    ),
    "tabs, which the parser expands": ">>> print('a\\tb')\na\tb\n",
    "a form feed": ">>> print('a\\x0cb')\na\x0cb\n",
    "a block": ">>> for i in range(2):\n...     i\n0\n1\n",
    "standard error, which is no output": ">>> import sys; print('x', file=sys.stderr)\n",
    "an exception by its last line": f">>> 1 / 0\n{TRACE}    ...\n"
    f"ZeroDivisionError: division by zero\n",
    "an exception of several lines": (
        f">>> raise ValueError('a\\n\\nb')\n{TRACE}    ...\nValueError: a\n<BLANKLINE>\nb\n"
    ),
    "an exception without its note": (
        f">>> e = ValueError('a'); e.add_note('note'); raise e\n{TRACE}    ...\nValueError: a\n"
    ),
    "an exception without a message": f">>> raise KeyError\n{TRACE}    ...\nKeyError\n",
    "a group of exceptions": (
        f">>> raise ExceptionGroup('two', [OSError(), KeyError()])\n"
        f"{TRACE}    ...\nExceptionGroup: two (2 sub-exceptions)\n"
    ),
    "a group out of a TaskGroup": (
        ">>> import asyncio\n"
        ">>> async def bad():\n...     raise KeyError('x')\n"
        ">>> async with asyncio.TaskGroup() as group:\n...     t = group.create_task(bad())\n"
        f"{TRACE}    ...\nExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n"
    ),
    "a syntax error": f">>> 1 +\n{TRACE}    ...\nSyntaxError: invalid syntax\n",
    "an exit": f">>> raise SystemExit(3)\n{TRACE}    ...\nSystemExit: 3\n",
    "an exit of a task": (
        f">>> async def leave():\n...     raise SystemExit(3)\n"
        f">>> await leave()\n{TRACE}    ...\nSystemExit: 3\n"
    ),
    "Ctrl-C": f">>> raise KeyboardInterrupt\n{TRACE}    ...\nKeyboardInterrupt\n",
    "an exception after an output, which is not compared": (
        f">>> print('a'); 1 / 0\n{TRACE}    ...\nZeroDivisionError: division by zero\n"
    ),
    "an exception's kind alone": (
        f">>> raise KeyError('x')  # doctest: +IGNORE_EXCEPTION_DETAIL\n{TRACE}    ...\n"
        "KeyError: something else\n"
    ),
    "an exception with its module": (
        f">>> import json; json.loads('')  # doctest: +IGNORE_EXCEPTION_DETAIL\n{TRACE}    ...\n"
        "JSONDecodeError\n"
    ),
    "await": ">>> import asyncio\n>>> await asyncio.sleep(0, 'done')\n'done'\n",
    "tasks of one loop": (
        ">>> import asyncio\n>>> async def start():\n"
        "...     return asyncio.create_task(asyncio.sleep(0, 3))\n"
        ">>> task = await start()\n>>> await task\n3\n"
    ),
    "async for and async with": (
        ">>> async def two():\n...     yield 1\n...     yield 2\n"
        ">>> async for i in two():\n...     i\n1\n2\n>>> [i async for i in two()]\n[1, 2]\n"
    ),
    "the last value": ">>> 41\n41\n>>> _ + 1\n42\n",
    "annotations kept as text": (
        ">>> from __future__ import annotations\n>>> def f(x: nowhere): pass\n"
        ">>> f.__annotations__\n{'x': 'nowhere'}\n"
    ),
    "a dataclass": (
        ">>> from dataclasses import dataclass\n>>> @dataclass\n... class P:\n...     x: int\n"
        ">>> P(1)\nP(x=1)\n"
    ),
    "a caught warning": (
        ">>> import warnings\n>>> with warnings.catch_warnings(record=True) as caught:\n"
        "...     warnings.warn('old')\n>>> len(caught)\n1\n"
    ),
}


@pytest.mark.parametrize("text", PASSES.values(), ids=PASSES)
def test_an_example_that_does_what_it_says_passes(session: Session, text: str) -> None:
    assert reports(session, text) == []


FAILS = {
    "another value": (">>> 1 + 1\n3\n", "Expected:\n    3\nGot:\n    2"),
    "True is not 1": (">>> 1 == 1\n1\n", "Expected:\n    1\nGot:\n    True"),
    "no output": (">>> x = 1\n1\n", "Expected:\n    1\nGot:\n    (nothing)"),
    "an output too many": (">>> print('a')\n", "Expected:\n    (nothing)\nGot:\n    a"),
    "several lines, compared": (
        ">>> print('a\\nb\\nd')\na\nb\nc\n",
        "Expected:\n    a\n    b\n    c\nGot:\n    a\n    b\n    d\n"
        "Difference:\n      a\n      b\n    - c\n    + d",
    ),
    "an exception": (
        ">>> 1 / 0\n",
        f'Unexpected exception:\n{TRACE}  File "page.md", line 1, in <module>\n    1 / 0\n'
        "    ~~^~~\nZeroDivisionError: division by zero",
    ),
    "another exception": (
        f">>> 1 / 0\n{TRACE}    ...\nKeyError\n",
        "Expected:\n    KeyError\nGot:\n    ZeroDivisionError: division by zero\n"
        f'{TRACE}  File "page.md", line 1, in <module>\n    1 / 0\n'
        "    ~~^~~\nZeroDivisionError: division by zero",
    ),
    "no exception": (
        f">>> 1\n{TRACE}    ...\nKeyError\n",
        "Expected:\n    Traceback (most recent call last):\n"
        "        ...\n    KeyError\nGot:\n    1\n"
        "Difference:\n    + 1\n    - Traceback (most recent call last):\n"
        "    -     ...\n"
        "    - KeyError",
    ),
    "a syntax error": (
        ">>> 1 +\n",
        'Unexpected exception:\n  File "page.md", line 1\n    1 +\n       ^\n'
        "SyntaxError: invalid syntax",
    ),
    "what was said on standard error": (
        ">>> import sys; print('why', file=sys.stderr)\n1\n",
        "Expected:\n    1\nGot:\n    (nothing)\nOn standard error:\nwhy",
    ),
    "a warning": (
        ">>> import warnings; warnings.warn('old', DeprecationWarning)\n",
        "warning raised: DeprecationWarning: old",
    ),
    "a warning of the compiler": (
        ">>> 1 is 1\nTrue\n",
        'warning raised: SyntaxWarning: "is" with a literal. Did you mean "=="?',
    ),
    "a coroutine never awaited": (
        ">>> async def work(): pass\n>>> work() and None\n",
        "warning raised: RuntimeWarning: coroutine 'work' was never awaited",
    ),
    "an error that nobody can catch": (
        ">>> class Bad:\n...     def __del__(self): 1 / 0\n"
        "...     def __repr__(self): return 'Bad'\n"
        ">>> Bad() and None\n",
        "exception ignored in Bad.__del__: ZeroDivisionError('division by zero')",
    ),
    "an exception that nobody retrieved": (
        ">>> import asyncio\n>>> async def bad(): raise KeyError('x')\n"
        ">>> async def start():\n...     t = asyncio.create_task(bad())\n"
        "...     await asyncio.sleep(0)\n>>> await start()\n",
        "event loop: Task exception was never retrieved: KeyError('x')",
    ),
    "a display that fails": (
        ">>> class Bad:\n...     def __repr__(self): return 'Bad'\n"
        "...     def _repr_svg_(self): raise KeyError(1)\n>>> Bad()\nBad\n",
        f'Unexpected exception:\n{TRACE}  File "page.md", line 3, in _repr_svg_\n'
        "    def _repr_svg_(self): raise KeyError(1)\n                          "
        "^^^^^^^^^^^^^^^^^\nKeyError: 1",
    ),
}


@pytest.mark.parametrize(("text", "report"), FAILS.values(), ids=FAILS)
def test_an_example_that_does_something_else_is_reported(
    session: Session, text: str, report: str
) -> None:
    assert reports(session, text) == [report]


def test_a_report_starts_at_the_readers_code(session: Session) -> None:
    session.execute("def f():\n    return {}['x']\n", 10, __file__)
    [report] = reports(session, "\n\n>>> def g():\n...     return f()\n>>> g()\n")
    lines = report.splitlines()
    assert lines[:3] == [
        "Unexpected exception:",
        TRACE.strip(),
        '  File "page.md", line 5, in <module>',
    ]
    assert lines[3:6] == ["    g()", '  File "page.md", line 4, in g', "    return f()"]
    assert lines[-1] == "KeyError: 'x'"


def test_a_long_output_is_cut_in_the_report(session: Session) -> None:
    [report] = reports(session, ">>> for i in range(100_000): print(i)\n1\n")
    assert len(report.splitlines()) == 104
    assert report.endswith("    99\n    (99900 more lines)")


def test_too_much_output_is_stopped(session: Session) -> None:
    [report] = reports(session, ">>> while True: print('x' * 1000)\n")
    assert report.splitlines()[-1] == (
        "literate.session.OutputTooLong: more than 1,000,000 characters printed"
    )


def test_the_line_of_each_example_is_told_before_it_runs(session: Session) -> None:
    told: list[int] = []
    session.begins = told.append
    run(session, ">>> 1\n1\n\nText.\n\n>>> if True:\n...     2\n2\n>>> 3\n3\n", first=40)
    assert told == [40, 45, 48]


def test_the_text_of_an_example_can_be_inspected(session: Session) -> None:
    run(session, ">>> def f(x):\n...     return x\n...\n>>> def g(): pass\n", first=7)
    assert inspect.getsource(session.namespace["f"]) == "def f(x):\n    return x\n"
    assert inspect.getsource(session.namespace["g"]) == "def g(): pass\n"


def test_a_value_is_shown_once(session: Session) -> None:
    counting = (
        "class Once:\n    n = 0\n    def __repr__(self):\n"
        "        self.n += 1\n        return str(self.n)\n"
    )
    session.execute(counting, 1)
    [outcome] = run(session, ">>> Once()\n1\n")
    assert (outcome.got, outcome.shown, outcome.ok) == ("1\n", "1\n", True)


RICH = {
    "svg": ("def _repr_svg_(self): return '<svg/>'", {"image/svg+xml": "<svg/>"}),
    "html": ("def _repr_html_(self): return '<b>x</b>'", {"text/html": "<b>x</b>"}),
    "none": ("def _repr_svg_(self): return None", {}),
    "a stranger that answers to every name": (
        "def __getattr__(self, name): return lambda: self",
        {},
    ),
}


@pytest.mark.parametrize(("method", "rich"), RICH.values(), ids=RICH)
def test_the_rich_display_of_a_value_is_kept(
    session: Session, method: str, rich: dict[str, str]
) -> None:
    session.execute(f"class P:\n    def __repr__(self): return 'P'\n    {method}\n", 1)
    shown, printed, named = run(session, ">>> P()\nP\n>>> print(P())\nP\n>>> P\n<class '...P'>\n")
    assert (shown.rich, printed.rich, named.rich) == (rich, {}, {})


LEFT = {
    "a task": (
        ">>> import asyncio\n>>> async def start():\n"
        "...     return asyncio.create_task(asyncio.sleep(9), name='sleeper')\n"
        ">>> task = await start()\n",
        ["the task sleeper (sleep) is still pending"],
    ),
    "two tasks": (
        ">>> import asyncio\n>>> async def wait(): await asyncio.Event().wait()\n"
        ">>> async def start():\n"
        "...     return [asyncio.create_task(wait(), name=name) for name in 'ba']\n"
        ">>> tasks = await start()\n",
        ["the task a (wait) is still pending", "the task b (wait) is still pending"],
    ),
    "an exception of a task that still has a name": (
        ">>> import asyncio\n>>> async def bad(): raise KeyError('x')\n"
        ">>> async def start():\n...     t = asyncio.create_task(bad())\n"
        "...     await asyncio.sleep(0)\n...     return t\n>>> task = await start()\n",
        ["event loop: Task exception was never retrieved: KeyError('x')"],
    ),
    "a coroutine that still has a name": (
        ">>> async def work(): pass\n>>> coroutine = work()\n",
        ["warning raised: RuntimeWarning: coroutine 'work' was never awaited"],
    ),
    "nothing": (">>> import asyncio\n>>> await asyncio.sleep(0)\n", []),
}


@pytest.mark.parametrize(("text", "left"), LEFT.values(), ids=LEFT)
def test_what_a_page_leaves_undone_is_told_at_its_end(text: str, left: list[str]) -> None:
    session = Session(vars(ModuleType("chapter")), "page.md")
    assert reports(session, text) == []
    assert session.close() == left


def test_an_open_file_is_told_at_the_end_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x")
    session = Session({"file": str(file)}, "page.md")
    assert reports(session, ">>> f = open(file, encoding='ascii')\n") == []
    [told] = session.close()
    assert told.startswith(
        "warning raised: ResourceWarning: unclosed file <_io.TextIOWrapper name="
    )


def test_what_the_module_defines_is_there_until_the_end() -> None:
    session = Session({}, "page.md")
    session.execute("LIMIT = 3\nclass C:\n    def __del__(self):\n        LIMIT + 1\n", 1)
    assert reports(session, ">>> c = C()\n") == []
    assert session.close() == []


def test_a_warning_of_the_modules_code_is_returned(session: Session) -> None:
    assert (
        session.execute("import warnings\nwarnings.warn('old')\n", 1)
        == "warning raised: UserWarning: old"
    )
    assert session.execute("x = 1\n", 1) == ""
