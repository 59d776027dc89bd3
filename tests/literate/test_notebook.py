"""A page as a notebook: it runs, and shows what the page shows."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import nbformat
import pytest

from literate import kernel, notebook
from literate.kernel import differences
from literate.notebook import cells
from literate.pressed import Pressed

if TYPE_CHECKING:
    from conftest import Toy

MODULE = '''\
"""All features."""

import asyncio
from dataclasses import dataclass

ONE = 1
"""The first."""


def doubled(cls):
    cls.factor = 2
    return cls


@doubled
class C:
    """A class in parts."""

    a: int = 1

    def f(self):
        return self.factor

    def __repr__(self):
        return "C"

    def _repr_svg_(self):
        return "<svg><title>t</title><desc>d</desc></svg>"


@dataclass
class Data:
    x: int


class Lost(Exception):
    """Its name has a module."""


async def later(x):
    await asyncio.sleep(0)
    return x


def cleanup(lines):
    """Return `lines` without the backslash."""
    return [line.strip("\\\\") for line in lines]
'''
BODY = r"""
Prose with a [link](other.md#x), and [another](https://example.com/x.md).

```source the docstring, the imports, the constants
```

```source doubled, class C
```

Methods:

```source C.f, C.__repr__
```

```source C._repr_svg_, Data, Lost, later, cleanup
```

```quote C.f
```

```pycon
>>> c = C()
>>> c.f()
2
>>> c
C
>>> print("a\n\nb")
a
<BLANKLINE>
b
>>> print("said"); [ONE, Data(1)]
said
[1, Data(x=1)]
>>> 1 / 0
Traceback (most recent call last):
    ...
ZeroDivisionError: division by zero
>>> raise Lost("a\nb")
Traceback (most recent call last):
    ...
chapters.toy.m.Lost: a
b
>>> raise StopIteration
Traceback (most recent call last):
    ...
StopIteration
>>> {}["x"]
Traceback (most recent call last):
    ...
KeyError: 'x'
>>> print("said"); raise Lost
Traceback (most recent call last):
    ...
chapters.toy.m.Lost
>>> compile("1 +", "x", "eval")
Traceback (most recent call last):
    ...
SyntaxError: invalid syntax
>>> raise ExceptionGroup("two", [OSError(), KeyError()])
Traceback (most recent call last):
    ...
ExceptionGroup: two (2 sub-exceptions)
>>> x = 1
```

```pycon
>>> await later(3)
3
>>> import chapters.toy.m as me
>>> me.C is C, __name__
(True, 'chapters.toy.m')
>>> c
C
>>> "..." * 40
'.........'
>>> sorted({"b", "a"}), {"b", "a", "d"} == {"a", "b", "d"}
(['a', 'b'], True)
```

/// exercise | Twice
Do it, 'quoted'.

```python starter
def twice(x):
    return "\n"
```
```pycon check
>>> twice("a" + '''b\\c''')
'ab\\cab\\c'
>>> await later(twice(2))
4
```
```markdown hint
Think.
```
```python solution
def twice(x):
    return x + x
```
///

/// break | Wrong
Prose.

```diff doubled test=test_it
-    cls.factor = 2
+    cls.factor = 3
```
```pycon
>>> C()
C
```
///
"""
TESTS = "from chapters.toy.m import C\n\n\ndef test_it():\n    assert C().f() == 2\n"


@pytest.fixture(scope="module")
def chapter(make_toy: Callable[[], Toy]) -> tuple[Toy, Pressed]:
    toy = make_toy()
    toy.module(MODULE)
    toy.write("tests/toy/test_m.py", TESTS)
    toy.page(BODY)
    pressed = toy.press()
    assert list(map(str, pressed.problems)) == []
    return toy, pressed


@pytest.fixture(scope="module")
def executed(chapter: tuple[Toy, Pressed]) -> nbformat.NotebookNode:
    """The chapter's notebook, with what a kernel makes of it."""
    toy, pressed = chapter
    made = notebook.notebook(pressed, toy.project)
    kernel.execute(made, toy.project)
    return made


def test_an_executed_notebook_shows_what_the_page_shows(
    chapter: tuple[Toy, Pressed], executed: nbformat.NotebookNode
) -> None:
    toy, pressed = chapter
    assert list(differences(executed, pressed, toy.project)) == []


def test_the_notebook_as_it_is_written_shows_it_too(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    made = notebook.notebook(pressed, toy.project)
    assert list(differences(made, pressed, toy.project)) == []


def test_another_output_is_reported_at_its_line(
    chapter: tuple[Toy, Pressed], executed: nbformat.NotebookNode
) -> None:
    toy, pressed = chapter
    lines = toy.read().splitlines()
    wrong = nbformat.from_dict(json.loads(json.dumps(executed)))
    by_source = {cell.source.splitlines()[-1]: cell for cell in wrong.cells if cell.source}
    by_source["c.f()"].outputs[0]["data"]["text/plain"] = "3"
    by_source["1 / 0"].outputs[0]["evalue"] = "division by one"
    by_source["await later(3)"].outputs = []
    del next(cell for cell in wrong.cells if cell.source == "c").outputs[0]["data"]["image/svg+xml"]
    found = dict(differences(wrong, pressed, toy.project))
    assert {
        lines[line - 1]: report.partition("\nDifference:")[0] for line, report in found.items()
    } == {
        ">>> c.f()": "Expected:\n    2\nGot:\n    3",
        ">>> c": "Expected:\n    ['image/svg+xml']\nGot:\n    []",
        ">>> 1 / 0": (
            "Expected:\n    Traceback (most recent call last):\n        ...\n"
            "    ZeroDivisionError: division by zero\n"
            "Got:\n    Traceback (most recent call last):\n        ...\n"
            "    ZeroDivisionError: division by one"
        ),
        ">>> await later(3)": "Expected:\n    3\nGot:\n    (nothing)",
    }


def test_a_check_that_says_something_else_is_reported(
    chapter: tuple[Toy, Pressed], executed: nbformat.NotebookNode
) -> None:
    toy, pressed = chapter
    wrong = nbformat.from_dict(json.loads(json.dumps(executed)))
    check = next(cell for cell in wrong.cells if cell.source.startswith("await check("))
    check.outputs[0]["text"] = "All 2 examples pass.\n"
    [(_, report)] = differences(wrong, pressed, toy.project)
    lines = report.splitlines()
    assert lines[:3] == ["Expected:", "    Not yet:", "    >>> twice(\"a\" + '''b\\\\c''')"]
    assert lines[lines.index("Got:") + 1] == "    All 2 examples pass."


def test_the_cells_are_the_page(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    made = cells(pressed, toy.project)
    told = [(each.kind, each.source.strip().splitlines()[0]) for each in made]
    assert told[:9] == [
        ("markdown", "# M"),
        ("code", "# Run this cell first. It lets this notebook be the module chapters.toy.m:"),
        (
            "markdown",
            "Prose with a [link](other.ipynb#x), and [another](https://example.com/x.md).",
        ),
        ("code", '"""All features."""'),
        ("markdown", "```python"),
        ("code", "def doubled(cls):"),
        ("markdown", "Methods:"),
        ("markdown", "```python"),
        ("markdown", "```python"),
    ]
    [hidden] = [each for each in made if each.metadata.get("jupyter")]
    assert hidden.source.startswith("@doubled\nclass C:\n")
    raising = [each.source for each in made if each.metadata.get("tags") == ["raises-exception"]]
    assert len(raising) == 7


def test_a_source_cell_is_the_modules_text(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    code = [each.source for each in cells(pressed, toy.project) if each.kind == "code"]
    module = toy.read("chapters/toy/m.py")
    assert any(source == module[module.index("@dataclass") :] for source in code)


def test_a_notebook_is_the_same_file_each_time(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    once, again = (
        notebook.as_json(notebook.notebook(p, toy.project)) for p in (pressed, toy.press())
    )
    assert once == again
    assert str(toy.root) not in once


def test_a_script_is_python_with_the_same_cells(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    made = notebook.notebook(pressed, toy.project)
    script = notebook.as_script(made)
    compile(script, "m.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    back = notebook.scripts.reads(script, fmt="py:percent")
    assert [(cell.cell_type, cell.source) for cell in back.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ]


def test_a_mutation_is_shown_with_its_picture(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    text = cells(pressed, toy.project)[-1].source.strip() or cells(pressed, toy.project)[-2].source
    assert "-    cls.factor = 2\n+    cls.factor = 3\n" in text
    assert "<svg" in text
    assert "Caught by `test_it`" in text


def test_a_definition_comes_before_the_class_that_uses_it(toy: Toy) -> None:
    """Parts run in the module's order, also where a class is completed in the same block."""
    toy.module(
        "def one():\n    return 1\n\n\nclass C:\n    a = one()\n"
        "\n    def f(self):\n        return 1\n"
    )
    toy.page("```source one, class C, C.f\n```\n")
    code = [each.source for each in cells(toy.press(), toy.project) if each.kind == "code"]
    assert [source.splitlines()[0] for source in code[1:]] == ["def one():", "class C:"]
