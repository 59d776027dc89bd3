"""From a page's text to its blocks, and what is said of a text that is no page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from literate.grammar import parse
from literate.page import Break, Example, Exercise, Fence, Page, Prose, Quote, SourceBlock
from literate.problems import PressError
from literate.run import read

if TYPE_CHECKING:
    from conftest import Toy

HEAD = "---\ntitle: M\nmodule: chapters.toy.m\n---\n"
EXERCISE = """\
/// exercise | Twice
Write it.

```python starter
def twice(x): ...
```
```pycon check
>>> twice(2)
4
```
```markdown hint
Think.
```
```python solution
def twice(x): return x + x
```
///
"""
BREAK = """\
/// break | Wrong
Look.

```diff inc test=test_inc
-    return x + 1
+    return x + 2
```
```pycon limit=2
>>> inc(1)
3
```
///
"""


def blocks(body: str) -> list[object]:
    """Return a page's blocks but the empty prose between them."""
    page = parse(HEAD + body, "m.md")
    return [each for each in page.blocks if not isinstance(each, Prose) or each.text.strip()]


def problems(body: str) -> list[str]:
    with pytest.raises(PressError) as raised:
        parse(HEAD + body, "m.md")
    return [str(each) for each in raised.value.problems]


READ = {
    "prose": ("Text.\n\nMore.\n", [Prose(5, "Text.\n\nMore.")]),
    "source": ("```source the imports, C.f\n```\n", [SourceBlock(5, ("the imports", "C.f"))]),
    "source of a class's head": ("~~~ source class C\n~~~\n", [SourceBlock(5, ("class C",))]),
    "quote": ("```quote other.C.f\n```\n", [Quote(5, "other.C.f")]),
    "example": ("```pycon\n>>> 1\n1\n```\n", [Example(5, Fence(5, "pycon", ">>> 1\n1\n"))]),
    "example with options": (
        "```pycon requires='a, b' limit=1.5\n>>> 1\n```\n",
        [Example(5, Fence(5, "pycon requires='a, b' limit=1.5", ">>> 1\n"), ("a", "b"), 1.5)],
    ),
    "example in a list": (
        "- Item:\n\n    ```pycon\n    >>> 1\n\n      1\n    ```\n",
        [Prose(5, "- Item:\n"), Example(7, Fence(7, "pycon", ">>> 1\n\n  1\n", "    "))],
    ),
    "example in an admonition, with tabs": (
        "!!! note\n\t```pycon\n\t>>> 1\n\t```\n",
        [Prose(5, "!!! note"), Example(6, Fence(6, "pycon", ">>> 1\n", "\t"))],
    ),
    "a fence inside a longer one": (
        "````pycon\n>>> 1\n```\n````\n",
        [Example(5, Fence(5, "pycon", ">>> 1\n```\n"))],
    ),
    "a page shown as text": (
        "````markdown\n```pycon\n>>> 1\n```\n````\n",
        [Prose(5, "````markdown\n```pycon\n>>> 1\n```\n````")],
    ),
    "another language": ("```c\nint x;\n```\n", [Prose(5, "```c\nint x;\n```")]),
    "marks in a line": ("Say ```pycon``` here.\n", [Prose(5, "Say ```pycon``` here.")]),
    "exercise": (
        EXERCISE,
        [
            Exercise(
                5,
                "Twice",
                "Write it.\n",
                Fence(8, "python starter", "def twice(x): ...\n"),
                Fence(11, "pycon check", ">>> twice(2)\n4\n"),
                Fence(15, "markdown hint", "Think.\n"),
                Fence(18, "python solution", "def twice(x): return x + x\n"),
            )
        ],
    ),
    "break": (
        BREAK,
        [
            Break(
                5,
                "Wrong",
                "Look.\n",
                Fence(8, "diff inc test=test_inc", "-    return x + 1\n+    return x + 2\n"),
                "inc",
                "    return x + 1",
                "    return x + 2",
                "test_inc",
                Example(12, Fence(12, "pycon limit=2", ">>> inc(1)\n3\n"), (), 2.0),
            )
        ],
    ),
    "a break that takes a line out": (
        "/// break | Wrong\n```diff C.f test=T::test_f\n-    x\n```\n///\n",
        [
            Break(
                5,
                "Wrong",
                "\n",
                Fence(6, "diff C.f test=T::test_f", "-    x\n"),
                "C.f",
                "    x",
                "",
                "T::test_f",
                None,
            )
        ],
    ),
    "a form feed ends no line": (
        "a\x0cb\u2028c\n```pycon\n>>> 1\n```\n",
        [Prose(5, "a\x0cb\u2028c"), Example(6, Fence(6, "pycon", ">>> 1\n"))],
    ),
    "nothing": ("", []),
}


@pytest.mark.parametrize(("body", "expected"), READ.values(), ids=READ)
def test_a_page_is_read_as_blocks(body: str, expected: list[object]) -> None:
    assert blocks(body) == expected


OUTSIDE = "an example outside a ```pycon block would not be verified"
ROLES = "python starter, pycon check, markdown hint, python solution"
ONE_LINE = "a mutation is one line: one - line and at most one + line"
SAYS = "a break block's diff says: ```diff SYMBOL test=NAME"
SHAPE = "a break block has one diff and at most one pycon block"
WRONG = {
    "a fence never closed": (
        "```pycon\n>>> 1\n",
        ["5: the fence ```pycon is never closed"],
    ),
    "a fence closed by a shorter one": (
        "````c\n```\n\n## More\n",
        ["5: the fence ````c is never closed"],
    ),
    "a fence closed by another mark": ("~~~c\n```\n", ["5: the fence ~~~c is never closed"]),
    "an example in prose": ("Text.\n\n    >>> 1\n    2\n", [f"7: {OUTSIDE}"]),
    "an example in another fence": ("```text\n>>> 1\n2\n```\n", [f"6: {OUTSIDE}"]),
    "an example in a container": (
        EXERCISE.replace("Write it.", ">>> 1"),
        [f"6: {OUTSIDE}"],
    ),
    "a title": (
        "# Title\n\n## Section\n",
        ["5: the title stands in the front matter; sections start with ##"],
    ),
    "a source block without symbols": (
        "```source\n```\n",
        ["5: a source block names at least one symbol"],
    ),
    "a source block with text": (
        "```source f\ndef f(): pass\n```\n",
        ["6: a source block is empty: its text is cut from the module"],
    ),
    "a quote block without a symbol": ("```quote\n```\n", ["5: a quote block names one symbol"]),
    "a quote block with two": ("```quote a, b\n```\n", ["5: a quote block names one symbol"]),
    "a quote block with text": (
        "```quote f\nx\n```\n",
        ["6: a quote block is empty: its text is cut from the module"],
    ),
    "a python block": (
        "```python\nx\n```\n",
        ["5: a python block stands only in an exercise (a ```pycon block runs)"],
    ),
    "a diff block": (
        "```diff\nx\n```\n",
        ["5: a diff block stands only in a break block (a ```text block shows one as text)"],
    ),
    "an unknown option": (
        "```pycon limit=1 color=red size=3\n>>> 1\n```\n",
        [
            "5: unknown option 'color' of a pycon block (known: limit, requires)",
            "5: unknown option 'size' of a pycon block (known: limit, requires)",
        ],
    ),
    "an option that cannot be read": (
        "```pycon requires='a\n>>> 1\n```\n",
        ["5: block options: no closing quotation"],
    ),
    "a limit that is no number": (
        "```pycon limit=long\n>>> 1\n```\n",
        ["5: limit is a number of seconds, not 'long'"],
    ),
    "a limit of nothing": (
        "```pycon limit=0\n>>> 1\n```\n",
        ["5: limit is a number of seconds, not '0'"],
    ),
    "a skipped example": (
        "```pycon\n>>> 1  # doctest: +SKIP\n2\n```\n",
        ["5: doctest's SKIP would hide an output: say requires=... instead"],
    ),
    "an output alone": (
        "```pycon\n2\n```\n",
        ["5: a pycon block without >>> shows output that nothing produced"],
    ),
    "a container never closed": (
        EXERCISE.removesuffix("///\n"),
        ["5: the exercise block is never closed by ///"],
    ),
    "a container and a fence never closed": (
        "/// break | X\n```c\n",
        [
            "5: a break block has one diff and at most one pycon block",
            "5: the break block is never closed by ///",
            "6: the fence ```c is never closed",
        ],
    ),
    "a container without a title": (
        EXERCISE.replace(" | Twice", ""),
        ["5: the exercise block has no title: /// exercise | Title"],
    ),
    "an unknown container": (
        "/// note | Title\nText.\n///\n",
        ["5: unknown block 'note' (known: exercise, break)"],
    ),
    "an exercise that lacks parts": (
        "/// exercise | Twice\n```python starter\n```\n///\n",
        ["5: the exercise 'Twice' lacks: pycon check, markdown hint, python solution"],
    ),
    "an exercise with a part too many": (
        EXERCISE.removesuffix("///\n") + "```c\n```\n```python starter\n```\n///\n",
        [
            f"8: an exercise has one each of {ROLES}; not 'python starter'",
            f"21: an exercise has one each of {ROLES}; not 'c'",
        ],
    ),
    "a break block without a diff": ("/// break | X\n///\n", [f"5: {SHAPE}"]),
    "a break block with two looks": (
        BREAK.removesuffix("///\n") + "```pycon\n>>> 1\n```\n///\n",
        [f"5: {SHAPE}"],
    ),
    "a diff without a symbol": (BREAK.replace("diff inc test", "diff test"), [f"8: {SAYS}"]),
    "a diff without a test": (BREAK.replace(" test=test_inc", ""), [f"8: {SAYS}"]),
    "a diff with an unknown option": (
        BREAK.replace("test=test_inc", "test=test_inc by=me"),
        ["8: unknown option 'by' of a diff block (known: test)"],
    ),
    "a diff of two lines": (
        BREAK.replace("-    return", "-    a\n-    return"),
        [f"8: {ONE_LINE}"],
    ),
    "a diff that adds two lines": (BREAK.replace("+   ", "+    a\n+   "), [f"8: {ONE_LINE}"]),
    "a look that is no example": (
        BREAK.replace(">>> ", ""),
        ["12: a pycon block without >>> shows output that nothing produced"],
    ),
    "two blocks of one title": (
        EXERCISE + EXERCISE,
        ["22: a second block is called 'Twice'; its title is its anchor"],
    ),
    "several at once": (
        ">>> 1\n\n```source\n```\n\n```python\n```\n",
        [
            f"5: {OUTSIDE}",
            "7: a source block names at least one symbol",
            "10: a python block stands only in an exercise (a ```pycon block runs)",
        ],
    ),
}


@pytest.mark.parametrize(("body", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_page_is_reported(body: str, expected: list[str]) -> None:
    assert problems(body) == [f"m.md:{each}" for each in expected]


def test_a_page_of_docs_needs_no_module() -> None:
    page = parse("# Title\n\n```pycon\n>>> 1\n1\n```\n", "docs/x.md", module_needed=False)
    assert (page.module, page.title, len(page.blocks)) == ("", "docs/x.md", 3)


def test_an_empty_page_is_reported(toy: Toy) -> None:
    toy.write(toy.name, "")
    with pytest.raises(PressError) as raised:
        read(toy.root / toy.name, toy.project)
    assert str(raised.value) == (
        "notes/toy/m.md:1: the page has no front matter: it starts with --- and names a module"
    )


def test_line_ends_of_windows_make_no_difference(toy: Toy) -> None:
    def parts(page: Page) -> object:
        return page.blocks, page.front, page.lines

    file = toy.page(EXERCISE + BREAK)
    before = parts(read(file, toy.project))
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert parts(read(file, toy.project)) == before


UNREADABLE = {
    "no text": (b"---\ntitle: M\n---\n\xff\n", "notes/toy/m.md:4: not UTF-8: the byte 0xff"),
    "no file": (None, "notes/toy/m.md:1: No such file or directory"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_page_that_cannot_be_read_is_reported(
    toy: Toy, content: bytes | None, message: str
) -> None:
    file = toy.root / toy.name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PressError) as raised:
        read(file, toy.project)
    assert str(raised.value) == message


def test_a_folder_is_no_page(toy: Toy) -> None:
    (toy.root / "notes/folder.md").mkdir()
    assert toy.project.pages() == [toy.root / toy.name]
    with pytest.raises(PressError) as raised:
        read(toy.root / "notes/folder.md", toy.project)
    assert str(raised.value) == "notes/folder.md:1: Is a directory"
