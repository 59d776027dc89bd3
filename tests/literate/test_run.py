"""A page's run in a process of its own: what it sees, what stops it, what is kept of it."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from literate import needs
from literate.kept import FOLDER
from literate.pressed import Pressed
from literate.run import Failed, press_all

if TYPE_CHECKING:
    from conftest import Toy

ELSE = "the example did something else"


def pycon(text: str, options: str = "") -> str:
    return f"```pycon {options}".rstrip() + f"\n{text}```\n\n"


SOURCES = "```source the docstring, the constants, inc, later\n```\n\n"


# What a page sees

SEES = {
    "the page's own definitions, from another module": (
        ">>> from chapters.toy import user\n>>> user.twice(1)\n3\n>>> user.inc is inc\nTrue\n"
    ),
    "itself, imported": ">>> import chapters.toy.m as me\n>>> vars(me) is globals()\nTrue\n",
    "its name": ">>> __name__, inc.__module__\n('chapters.toy.m', 'chapters.toy.m')\n",
    "its file": ">>> __file__.endswith('chapters/toy/m.py')\nTrue\n",
    "the module's text": (
        ">>> import inspect\n>>> inspect.getsource(inc).splitlines()[0]\n'def inc(x):'\n"
    ),
    "an example's text": (
        ">>> def mine(x):\n...     return x\n>>> inspect.getsource(mine)\n"
        "'def mine(x):\\n    return x\\n'\n"
    ),
    "what other blocks define": ">>> mine(3)\n3\n",
    "one event loop": (
        ">>> import asyncio\n>>> async def start(): return asyncio.create_task(later(1))\n"
        ">>> task = await start()\n"
    ),
    "that loop again": ">>> await task\n2\n>>> await later(2)\n3\n",
    "a folder of its own": ">>> import os\n>>> os.listdir()\n[]\n>>> open('x', 'w').close()\n",
    "no standard input": (
        ">>> input()\nTraceback (most recent call last):\n    ...\n"
        "EOFError: EOF when reading a line\n"
    ),
    "no standard input for others": (
        ">>> import subprocess, sys\n>>> code = 'import sys; print(repr(sys.stdin.read()))'\n"
        ">>> subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout\n"
        "\"''\\n\"\n"
    ),
    "its output alone": (
        ">>> os.write(1, b'noise\\n{}\\n')\n9\n>>> os.system('echo noise; echo noise >&2')\n0\n"
        ">>> _ = [os.write(fd, b'') for fd in (1, 2)]\n"
    ),
}
ODD = {
    "CI": "true",
    "COLORTERM": "truecolor",
    "COLUMNS": "33",
    "FORCE_COLOR": "1",
    "LANGUAGE": "de",
    "LC_ALL": "tr_TR.ISO-8859-9",
    "PYTEST_ADDOPTS": "--nonsense",
    "PYTHONHASHSEED": "77",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "TERM": "xterm-256color",
    "TZ": "Asia/Tokyo",
    "DEBUG": "1",
    "SWARM_HUB": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
}
MACHINE = """\
>>> import locale, os, shutil, sys, time
>>> print({'b', 'a', 'd', 'c', 'e'}, hash('a'))
>>> shutil.get_terminal_size(), time.tzname, sys.stdout.encoding
>>> locale.setlocale(locale.LC_ALL, ''), sys.flags.optimize, sys.warnoptions
>>> names = {name for name in os.environ
...          if name.startswith(('PYT', 'LC_', 'LANG', 'CI', 'COL', 'DEBUG', 'SWARM'))
...          or name.lower().endswith('proxy')}
>>> print(*sorted(names))
>>> os.environ['TERM'], 'FORCE_COLOR' in os.environ
"""


def test_a_page_sees_its_module_and_nothing_of_the_machine(shared: Toy) -> None:
    shared.module(
        "from chapters.toy.m import inc\n\n\ndef twice(x):\n    return inc(inc(x))\n", "user"
    )
    assert shared.reports(SOURCES + "".join(map(pycon, SEES.values()))) == []


def test_the_machine_cannot_change_an_output(shared: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.page(SOURCES + pycon(MACHINE))
    for name in ODD:
        monkeypatch.delenv(name, raising=False)
    plain = [each.got for each in shared.press().examples]
    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    odd = [each.got for each in shared.press().examples]
    assert odd == plain
    assert plain[-2:] == [
        "COLUMNS LANG LC_ALL PYTHONHASHSEED PYTHONPATH PYTHONSAFEPATH PYTHONUTF8 PYTHON_COLORS\n",
        "('dumb', False)\n",
    ]


def test_an_example_cannot_use_what_is_below_it(shared: Toy) -> None:
    body = "```source the docstring, the constants\n```\n" + pycon(">>> inc(1)\n2\n")
    late = pycon(">>> from chapters.toy.m import inc\n>>> import chapters.toy.m\n")
    assert shared.reports(body + late + "```source inc, later\n```\n") == [
        f"notes/toy/m.md:8: {ELSE}\n"
        "    Unexpected exception:\n"
        "    Traceback (most recent call last):\n"
        '      File "notes/toy/m.md", line 8, in <module>\n'
        "        inc(1)\n"
        "        ^^^\n"
        "    NameError: name 'inc' is not defined",
        f"notes/toy/m.md:13: {ELSE}\n"
        "    Unexpected exception:\n"
        "    Traceback (most recent call last):\n"
        '      File "notes/toy/m.md", line 13, in <module>\n'
        "        from chapters.toy.m import inc\n"
        "    ImportError: cannot import name 'inc' from 'chapters.toy.m' "
        f"({shared.root}/chapters/toy/m.py)",
    ]


def test_two_pages_see_nothing_of_each_other(toy: Toy) -> None:
    toy.module("", "other")
    leave = ">>> import builtins, os, chapters\n>>> builtins.LEFT = chapters.LEFT = 1\n"
    look = (
        ">>> import builtins, os, chapters, sys\n"
        ">>> hasattr(builtins, 'LEFT'), hasattr(chapters, 'LEFT')\n(False, False)\n"
    )
    toy.page(SOURCES + pycon(leave))
    toy.page(pycon(look + ">>> 'chapters.toy.m' in sys.modules\nFalse\n"), stem="other")
    assert [each.problems for each in press_all(toy.project.pages(), toy.project)] == [[], []]


def test_a_failure_of_the_module_is_reported_where_the_page_shows_it(toy: Toy) -> None:
    toy.module('"""Bad."""\n\nimport warnings\n\nONE = 1\nZERO = ONE / 0\n')
    assert toy.reports(
        "```source the docstring, the imports\n```\n\n```source the constants\n```\n"
    ) == [
        "notes/toy/m.md:8: the module's code raised\n"
        "    Traceback (most recent call last):\n"
        f'      File "{toy.root}/chapters/toy/m.py", line 6, in <module>\n'
        "        ZERO = ONE / 0\n"
        "               ~~~~^~~\n"
        "    ZeroDivisionError: division by zero"
    ]
    toy.module('import warnings\n\nwarnings.warn("old", DeprecationWarning)\n')
    assert toy.reports("```source the imports\n```\n") == [
        "notes/toy/m.md:5: the module's code raised\n    warning raised: DeprecationWarning: old"
    ]
    toy.module("import sys\n\nsys.exit(3)\n")
    [report] = toy.reports("```source the imports\n```\n")
    assert report.splitlines()[-1] == "    SystemExit: 3"


def test_what_is_left_undone_is_a_failure_of_the_page(shared: Toy) -> None:
    start = (
        ">>> import asyncio\n>>> async def start():\n"
        "...     return asyncio.create_task(asyncio.sleep(9), name='sleeper')\n"
        ">>> task = await start()\n"
    )
    assert shared.reports(SOURCES + pycon(start)) == [
        "notes/toy/m.md:8: at the end of the page: the task sleeper (sleep) is still pending"
    ]


def test_a_page_without_blocks_runs_nothing(toy: Toy) -> None:
    toy.module("")
    toy.page("Prose.\n")
    pressed = toy.press()
    assert (pressed.problems, pressed.results, pressed.files) == ([], {}, [])


def test_the_working_directory_is_removed(shared: Toy) -> None:
    shared.page(
        SOURCES + pycon(">>> import os\n>>> open('left', 'w').close(); print(os.getcwd())\n")
    )
    folder = shared.press().examples[-1].got.strip()
    assert "page-" in folder
    assert not Path(folder).exists()


def test_a_picture_has_a_title_and_a_description(shared: Toy) -> None:
    classes = (
        ">>> class Picture:\n...     def __init__(self, inner): self.inner = inner\n"
        "...     def __repr__(self): return 'Picture'\n"
        "...     def _repr_svg_(self): return f'<svg>{self.inner}</svg>'\n"
    )
    shows = (
        ">>> Picture('<title>t</title><desc>d</desc>')\nPicture\n"
        ">>> Picture('<title>t</title>')\nPicture\n"
    )
    assert shared.reports(SOURCES + pycon(classes + shows)) == [
        "notes/toy/m.md:15: a picture needs a <title> and a <desc>"
    ]
    assert [list(each.rich) for each in shared.press().examples] == [
        [],
        ["image/svg+xml"],
        ["image/svg+xml"],
    ]


# What stops a page

LOOP = ">>> while True: pass\n"
CHILD = ">>> import subprocess; subprocess.run(['sleep', '60'])\n"
EXERCISE = """\
/// exercise | Loop
Prose.

```python starter
def f(): {starter}
```
```pycon check
>>> f()
1
```
```markdown hint
Hint.
```
```python solution
def f(): {solution}
```
///
"""
RAISED = 'File "notes/toy/{name}.md"'
STOPPED = {
    "loop": ("", pycon(LOOP, "limit=0.4"), [("6", "this was still running after 0.4 s: stopped")]),
    "later": (
        "",
        pycon(">>> 1\n1\n\n>>> 2\n2\n\nText.\n" + LOOP, "limit=0.4") + pycon(">>> 3\n4\n"),
        [("13", "this was still running after 0.4 s: stopped")],
    ),
    "front": (
        "",
        pycon(">>> 1\n1\n" + LOOP),
        [("9", "this was still running after 0.3 s: stopped")],
    ),
    "whole": ("", pycon(LOOP), [("7", "the page was still running after 2 s: stopped")]),
    "source": (
        "while True:\n    pass\n",
        "```source the start\n```\n",
        [("6", "this was still running after 0.3 s: stopped")],
    ),
    "sleeps": (
        "",
        pycon(">>> import time\n>>> time.sleep(60)\n", "limit=0.4"),
        [("7", "this was still running after 0.4 s: stopped")],
    ),
    "child": (
        "",
        pycon(CHILD, "limit=0.4"),
        [("6", "this was still running after 0.4 s: stopped")],
    ),
    "starter": (
        "",
        EXERCISE.format(starter="\n    while True: pass", solution="return 1"),
        [("10", "this was still running after 0.3 s: stopped")],
    ),
    "solution": (
        "",
        EXERCISE.format(starter="return 0", solution="\n    while True: pass"),
        [("20", "this was still running after 0.3 s: stopped")],
    ),
    "stubborn": (
        "",
        pycon(
            ">>> import asyncio\n>>> async def stubborn():\n...     try:\n"
            "...         await asyncio.sleep(60)\n...     finally:\n...         while True: pass\n"
            ">>> async def start():\n...     t = asyncio.create_task(stubborn())\n"
            "...     await asyncio.sleep(0)\n...     return t\n>>> t = await start()\n"
        ),
        [("6", "this was still running after 0.3 s: stopped")],
    ),
    "exits": (
        "",
        pycon(">>> import os\n>>> os._exit(3)\n"),
        [("7", "the page's process died with exit status 3")],
    ),
    "segfault": (
        "",
        pycon(">>> import ctypes\n>>> ctypes.string_at(0)\n"),
        [("7", "the page's process died with signal SIGSEGV")],
    ),
    "aborts": (
        "",
        pycon(">>> import os\n>>> os.write(2, b'last words'); os.abort()\n"),
        [("7", "the page's process died with signal SIGABRT\n    last words")],
    ),
    "deaf": (
        "",
        pycon(">>> import os\n>>> os.closerange(3, 64); os.kill(os.getpid(), 9)\n"),
        [("7", "the page's process died with signal SIGKILL")],
    ),
    "leaving": (
        "",
        EXERCISE.format(starter="return 0", solution="import os; os._exit(4)"),
        [
            (
                "19",
                "the exercise's solution fails its check\n    it ended its process with status 4",
            )
        ],
    ),
}
FRONT = {
    "front": "limit: 0.3",
    "whole": "page_limit: 2",
    "source": "limit: 0.3",
    "starter": "limit: 0.3",
    "solution": "limit: 0.3",
    "stubborn": "limit: 0.3",
}


@pytest.fixture(scope="module")
def stopped(make_toy: Callable[[], Toy]) -> dict[str, list[str]]:
    """What is said of each page of STOPPED; all are pressed in one go."""
    toy = make_toy()
    (toy.root / toy.name).unlink()
    for name, (module, body, _) in STOPPED.items():
        toy.module(module, name)
        toy.page(body, *([FRONT[name]] if name in FRONT else []), stem=name)
    with pytest.raises(Failed) as failed:
        press_all(toy.project.pages(), toy.project, cache=False)
    return {
        Path(each.page.path).stem: list(map(str, each.problems)) for each in failed.value.pressed
    }


@pytest.mark.parametrize("name", STOPPED)
def test_what_does_not_end_or_dies_is_reported_at_its_line(
    stopped: dict[str, list[str]], name: str
) -> None:
    expected = [f"notes/toy/{name}.md:{line}: {message}" for line, message in STOPPED[name][2]]
    assert stopped[name] == expected


def test_the_children_of_a_stopped_page_are_stopped_too(shared: Toy) -> None:
    fifo = shared.root / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    child = (
        f">>> import subprocess\n>>> subprocess.run(['sleep', '60'], stdout=open('{fifo}', 'w'))\n"
    )
    assert shared.reports(SOURCES + pycon(child, "limit=0.5")) == [
        "notes/toy/m.md:10: this was still running after 0.5 s: stopped"
    ]
    # The end of the file is there once nobody can write to it any more.
    readable, _, _ = select.select([reader], [], [], 10)
    assert (readable, os.read(reader, 1)) == ([reader], b"")
    os.close(reader)


# What is needed


def test_what_a_machine_lacks_skips_a_block(shared: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    body = SOURCES + pycon(">>> inc(1)\n2\n") + pycon(">>> 1\n2\n", "requires=no-such-thing,linux")
    shared.page(body)
    pressed = shared.press()
    assert (pressed.problems, pressed.skipped) == ([], {5: "this machine lacks no-such-thing"})
    assert len(pressed.examples) == 1
    monkeypatch.setenv(needs.REQUIRE_REAL, "1")
    assert list(map(str, shared.press().problems)) == [
        "notes/toy/m.md:13: this machine lacks no-such-thing"
    ]


def test_what_a_machine_lacks_skips_a_page_and_its_module(toy: Toy) -> None:
    toy.module("import no_such_thing\n")
    toy.page("```source the imports\n```\n" + pycon(">>> 1\n2\n"), "requires: python:no_such_thing")
    pressed = toy.press()
    assert (pressed.problems, pressed.results) == ([], {})
    assert pressed.skipped == {3: "this machine lacks python:no_such_thing"}


# Exercises

JUDGED = {
    "a starter that passes": (
        ("return 1", "return 1"),
        ["notes/toy/m.md:8: the exercise's starter already passes its check"],
    ),
    "a solution that fails": (
        ("return 0", "return 2"),
        [
            "notes/toy/m.md:22: the exercise's solution fails its check\n"
            "    Not yet:\n    >>> f()\n    Expected:\n        1\n    Got:\n        2"
        ],
    ),
    "a starter that raises": (
        ("pass\n1 / 0", "return 1"),
        [
            "notes/toy/m.md:12: the exercise's starter raises before its check\n"
            "    Traceback (most recent call last):\n"
            '      File "notes/toy/m.md", line 13, in <module>\n'
            "        1 / 0\n        ~~^~~\n    ZeroDivisionError: division by zero"
        ],
    ),
    "a solution that does not parse": (
        ("return 0", "return ("),
        [
            "notes/toy/m.md:22: the exercise's solution fails its check\n"
            '      File "notes/toy/m.md", line 22\n'
            "        def f(): return (\n                        ^\n"
            "    SyntaxError: '(' was never closed"
        ],
    ),
    "a starter that fails and a solution that passes": (("return 0", "return 1"), []),
}


@pytest.mark.parametrize(("codes", "problems"), JUDGED.values(), ids=JUDGED)
def test_an_exercise_is_judged(shared: Toy, codes: tuple[str, str], problems: list[str]) -> None:
    starter, solution = codes
    body = SOURCES + EXERCISE.format(starter=starter, solution=solution)
    assert shared.reports(body) == problems


def test_a_check_is_a_doctest(shared: Toy) -> None:
    body = SOURCES + EXERCISE.format(starter="return 0", solution="return 1")
    assert shared.reports(body.replace(">>> f()", ">>> 1\n>>>f()")) == [
        "notes/toy/m.md:16: not a doctest: it lacks blank after >>>: '>>>f()'"
    ]


def test_nothing_of_an_exercise_leaks_into_the_page(shared: Toy) -> None:
    solution = "\n    global inc; inc = None; open('left', 'w').close()\n    return 1"
    after = pycon(
        ">>> inc(1)\n2\n>>> f()\nTraceback (most recent call last):\n    ...\n"
        "NameError: name 'f' is not defined\n"
    )
    body = SOURCES + EXERCISE.format(starter="return inc(5)", solution=solution) + "\n" + after
    assert shared.reports(body) == []
    [said] = [each["starter"] for each in shared.press().results.values() if "starter" in each]
    assert said == "Not yet:\n>>> f()\nExpected:\n    1\nGot:\n    6"


# What is kept


@pytest.fixture(scope="module")
def pressed(make_toy: Callable[[], Toy]) -> Toy:
    """A project with three chapters and a data file, pressed once."""
    toy = make_toy()
    toy.write("chapters/toy/user.py", '"""Uses."""\n\nfrom chapters.toy import m\n')
    toy.write("chapters/data.txt", "data")
    toy.write("chapters/unused.txt", "data")
    toy.page(
        "```source the docstring, the imports\n```\n" + pycon(">>> m.inc(1)\n2\n"), stem="user"
    )
    toy.page(PROSE + SOURCES + pycon(READ))
    toy.module('"""Breaks."""\n\n\ndef inc(x):\n    return x + 1\n', "b")
    toy.page("```source the docstring, inc\n```\n" + PROSE + BROKEN, stem="b")
    toy.write("tests/toy/test_b.py", TEST)
    assert states(toy) == dict.fromkeys(KEPT, "ran")
    return toy


@pytest.fixture
def kept(pressed: Toy, tmp_path: Path) -> Toy:
    """A copy of that project, with what was kept of it."""
    shutil.copytree(pressed.root, tmp_path / "copy")
    return dataclasses.replace(pressed, root=tmp_path / "copy")


TEST = """\
from chapters.toy.b import inc


def test_inc():
    assert inc(1) == 2  # one more
"""
READ = """\
>>> from pathlib import Path
>>> data = Path(__file__).parents[1] / 'data.txt'
>>> data.read_text()[:1]
'd'
"""
BROKEN = """\
/// break | Wrong
Prose.

```diff inc test=test_inc
-    return x + 1
+    return x + 2
```
```pycon
>>> inc(1)
3
```
///
"""
PROSE = "Prose.\n\n"


def everything(toy: Toy) -> list[Pressed]:
    return press_all(toy.project.pages(), toy.project, whole=True)


def states(toy: Toy) -> dict[str, str]:
    return {Path(p.page.path).stem: "kept" if p.cached else "ran" for p in everything(toy)}


KEPT = {"b": "kept", "m": "kept", "user": "kept"}
EDITS = {
    "nothing": (None, []),
    "prose": (("notes/toy/m.md", "Prose.", "Prose,\n\nlonger."), []),
    "a title": (("notes/toy/m.md", "title: M", "title: N"), []),
    "an example": (("notes/toy/m.md", "[:1]\n'd'", "[1:2]\n'a'"), ["m"]),
    "an output": (("notes/toy/m.md", "'d'", "'...'"), ["m"]),
    "a limit": (("notes/toy/user.md", "title: M", "title: M\nlimit: 9"), ["user"]),
    "a module that another imports": (("chapters/toy/m.py", "Add one.", "Add 1."), ["m", "user"]),
    "a module that none imports": (("chapters/toy/user.py", "Uses.", "Uses it."), ["user"]),
    "the package": (("chapters/toy/__init__.py", "Toys.", "Toy."), ["b", "m", "user"]),
    "a file that was read": (("chapters/data.txt", "data", "date"), ["m"]),
    "a file that nobody read": (("chapters/unused.txt", "data", "x"), []),
    "a mutation": (("notes/toy/b.md", "+    return x + 2", "+    return 2 + x"), ["b"]),
    "the test of a mutation": (("tests/toy/test_b.py", "# one more", "# 1 more"), ["b"]),
    "another test": (("tests/toy/test_m.py", "== 7", "== 8"), []),
}


@pytest.mark.parametrize(("edit", "ran"), EDITS.values(), ids=EDITS)
def test_an_edit_runs_what_it_can_affect(
    kept: Toy, edit: tuple[str, str, str] | None, ran: list[str]
) -> None:
    if edit:
        kept.replace(*edit)
    assert states(kept) == KEPT | dict.fromkeys(ran, "ran")
    assert states(kept) == KEPT


def test_an_edit_that_only_the_content_shows_is_noticed(kept: Toy) -> None:
    """Python's own compiled code would not notice: the file keeps its time and its size."""
    module = kept.root / "chapters/toy/m.py"
    now = int(time.time()) + 60
    for old, new in [("x + ONE", "ONE + x"), ("ONE + x", "ONE - x")]:
        kept.replace("chapters/toy/m.py", old, new)
        os.utime(module, (now, now))
        if "+" in new:
            assert states(kept) == KEPT | {"m": "ran", "user": "ran"}
    with pytest.raises(Failed) as failed:
        everything(kept)
    assert [str(each).splitlines()[0] for each in failed.value.problems] == [
        f"notes/toy/user.md:8: {ELSE}"
    ]


def test_kept_results_move_with_the_prose(kept: Toy) -> None:
    for name in ("notes/toy/b.md", "notes/toy/m.md"):
        kept.replace(name, "Prose.\n\n", "Prose.\n\nMore.\n\n")
    b, m, _ = everything(kept)
    assert [(each.line, each.source) for each in b.examples] == [(21, "inc(1)\n")]
    assert [each.line for each in m.examples] == [13, 14, 15]
    assert kept.read("notes/toy/b.md").splitlines()[20] == ">>> inc(1)"


def test_failures_are_not_kept(kept: Toy) -> None:
    kept.replace("chapters/data.txt", "data", "x")
    for _ in range(2):
        with pytest.raises(Failed) as failed:
            everything(kept)
        assert [each.cached for each in failed.value.pressed] == [True, False, True]
        assert len(failed.value.problems) == 1


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"key": 1}', "{", "\udcff"])
def test_a_damaged_kept_result_is_none(kept: Toy, text: str) -> None:
    file = kept.root / FOLDER / "notes.toy.user.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert states(kept) == KEPT | {"user": "ran"}
    assert json.loads(file.read_text())["results"]


def test_where_nothing_can_be_kept_everything_runs(toy: Toy) -> None:
    toy.write(".cache", "a file in the way")
    assert states(toy) == states(toy) == {"m": "ran"}


def test_presses_can_run_side_by_side(kept: Toy) -> None:
    kept.replace("chapters/toy/user.py", "Uses.", "Uses it.")
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(everything, [kept] * 3))
    assert [[each.problems for each in run] for run in runs] == [[[], [], []]] * 3
    assert states(kept) == KEPT
    assert sorted(os.listdir(kept.root / FOLDER)) == [f"notes.toy.{name}.json" for name in KEPT]


# All pages


def test_all_failures_of_all_pages_are_reported_in_one_run(toy: Toy) -> None:
    toy.module("", "bad")
    toy.module("", "worse")
    toy.page("```source x", stem="bad")
    toy.page(pycon(">>> 1\n2\n"), "needs: [toy/m, toy/nothing]", stem="worse")
    toy.replace(toy.name, ">>> inc(1)\n2", ">>> inc(1)\n3")
    with pytest.raises(Failed) as failed:
        everything(toy)
    assert str(failed.value) == (
        "notes/toy/bad.md:5: the fence ```source x is never closed\n"
        f"notes/toy/m.md:16: {ELSE}\n    Expected:\n        3\n    Got:\n        2\n"
        "notes/toy/worse.md:4: needs names no page: toy/nothing\n"
        f"notes/toy/worse.md:7: {ELSE}\n    Expected:\n        2\n    Got:\n        1"
    )
    assert [each.page.path for each in failed.value.pressed] == [
        "notes/toy/bad.md",
        "notes/toy/m.md",
        "notes/toy/worse.md",
    ]


def test_pages_run_side_by_side(toy: Toy) -> None:
    """Each end of a pipe waits until another page opens the other one."""
    fifo = toy.root / "fifo"
    os.mkfifo(fifo)
    toy.module("", "other")
    toy.page(SOURCES + pycon(f">>> open({str(fifo)!r}, 'w').close()\n"))
    toy.page(pycon(f">>> with open({str(fifo)!r}) as end: end.read()\n''\n"), stem="other")
    assert [each.problems for each in everything(toy)] == [[], []]
