"""Accepting what examples do now, with the author's ellipses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import accept, doctests
from literate.accept import merged, proposal, rewritten

if TYPE_CHECKING:
    from conftest import Toy

MERGED = {
    "a new output": ("a\n", "b\n", "b\n"),
    "an output where there was none": ("", "b\n", "b\n"),
    "no output where there was one": ("a\n", "", ""),
    "a blank line": ("a\n", "a\n\nb\n", "a\n<BLANKLINE>\nb\n"),
    "an ellipsis that still matches": (
        "x at 0x... (1)\nsum 3\n",
        "x at 0x7f (1)\nsum 4\n",
        "x at 0x... (1)\nsum 4\n",
    ),
    "an ellipsis that does not": (
        "x at 0x...\nsum 3\n",
        "y at 0x7f\nsum 4\n",
        "y at 0x7f\nsum 4\n",
    ),
    "an ellipsis that is a line": ("a\n...\nz\n", "a\nb\nc\ny\n", "a\n...\nc\ny\n"),
    "an ellipsis that would continue the statement": ("a\n...\n", "b\n", "b\n"),
    "an ellipsis where lines came before it": (
        "one\nx ... y\n",
        "zero\none\nx 2 y\n",
        "zero\none\nx ... y\n",
    ),
    "an exception": (
        "Traceback (most recent call last):\n    ...\nKeyError: 'a ...'\n",
        "Traceback (most recent call last):\n    ...\nKeyError: 'a b'\n",
        "Traceback (most recent call last):\n    ...\nKeyError: 'a ...'\n",
    ),
}


@pytest.mark.parametrize(("want", "got", "expected"), MERGED.values(), ids=MERGED)
def test_an_output_keeps_the_ellipses_that_match(want: str, got: str, expected: str) -> None:
    assert merged(want, got) == expected


LINES = st.lists(
    st.sampled_from(["a\n", "b\n", "\n", "a b c\n", "  indented\n", "x at 0x7f\n"]), max_size=6
).map("".join)
WANTS = st.lists(
    st.sampled_from(["a\n", "c\n", "<BLANKLINE>\n", "a ... c\n", "...\n", "x at ...\n"]), max_size=6
).map("".join)


@given(WANTS, LINES)
def test_what_is_accepted_passes(want: str, got: str) -> None:
    written = merged(want, got)
    examples = doctests.parse(">>> f()\n" + written + "\n")
    assert [each.want for each in examples] == [written]
    assert doctests.judge(examples[0], got)


SHOWN = "```source the docstring, the constants, inc, later\n```\n"
BEFORE = """
Text.

```pycon
>>> inc(1)
3
>>> inc(2)
3
>>> for i in range(2):
...     print(i, object())
...     print(i + 10)
0 <object object at 0x...>
11
1 <object object at 0x...>
>>> inc("a")
>>> inc(0)
Traceback (most recent call last):
    ...
ValueError
>>> print("said"); inc(None)
5
>>> x = inc(1)
4
```

- A list:

    ```pycon
    >>> print("a\\n\\nb")
    a
    >>> inc(4)
    ```

```pycon
>>> print("1  2")  # doctest: +NORMALIZE_WHITESPACE
1 2
>>> await later(5)
7
```
"""
AFTER = """
Text.

```pycon
>>> inc(1)
2
>>> inc(2)
3
>>> for i in range(2):
...     print(i, object())
...     print(i + 10)
0 <object object at 0x...>
10
1 <object object at 0x...>
11
>>> inc("a")
Traceback (most recent call last):
    ...
TypeError: can only concatenate str (not "int") to str
>>> inc(0)
1
>>> print("said"); inc(None)
Traceback (most recent call last):
    ...
TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'
>>> x = inc(1)
```

- A list:

    ```pycon
    >>> print("a\\n\\nb")
    a
    <BLANKLINE>
    b
    >>> inc(4)
    5
    ```

```pycon
>>> print("1  2")  # doctest: +NORMALIZE_WHITESPACE
1 2
>>> await later(5)
6
```
"""


def test_a_page_is_rewritten_with_what_its_examples_do(toy: Toy) -> None:
    file = toy.page(SHOWN + BEFORE)
    assert accept.accept(toy.press(), toy.project) == file
    assert toy.read().partition(SHOWN)[2] == AFTER
    assert toy.press().problems == []


def test_a_page_that_passes_stays_as_it_is(toy: Toy) -> None:
    assert proposal(toy.press()) == ""
    assert rewritten(toy.press()) == toy.read()


def test_the_change_is_shown(toy: Toy) -> None:
    toy.replace(toy.name, ">>> inc(1)\n2\n", ">>> inc(1)\n3\n")
    assert proposal(toy.press()) == (
        "--- notes/toy/m.md\n+++ what it does now\n@@ -14,7 +14,7 @@\n \n ```pycon\n >>> inc(1)\n"
        "-3\n+2\n ```\n \n ```source later\n"
    )


def test_line_ends_of_windows_stay(toy: Toy) -> None:
    toy.replace(toy.name, ">>> inc(1)\n2\n", ">>> inc(1)\n3\n")
    good = toy.read().replace(">>> inc(1)\n3\n", ">>> inc(1)\n2\n")
    file = toy.root / toy.name
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    accept.accept(toy.press(), toy.project)
    assert file.read_bytes() == good.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("seed", range(3))
def test_accepting_a_corrupted_page_makes_it_pass(toy: Toy, seed: int) -> None:
    """Outputs are swapped, doubled, or taken away: whatever was there, the page passes after it."""
    sources = ["1", "print('a\\n\\nb')", "x = 1", "1 / 0", "'...'", "[1,\n2]", "'x' * 200"]
    wants = [
        "",
        "1\n",
        "<BLANKLINE>\n",
        "...x\n",
        "a\n...\n",
        "Traceback (most recent call last):\nE\n",
    ]
    text = "".join(
        doctests.prompted(source) + wants[(3 * i + seed) % len(wants)].replace("...x", "a...")
        for i, source in enumerate(sources)
    )
    toy.page(f"{SHOWN}```pycon\n{text}```\n")
    assert toy.press().problems != []
    accept.accept(toy.press(), toy.project)
    assert toy.press().problems == []
