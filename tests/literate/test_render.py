"""A pressed page as plain Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from literate.doctests import Outcome
from literate.pressed import Pressed
from literate.render import Plain, fence, listing, segments, slugify, svg_text
from literate.source import Source

if TYPE_CHECKING:
    from conftest import Toy

MODULE = '''\
"""Doc."""

ONE = 1


def inc(x):
    return x + ONE


class P:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name

    def _repr_svg_(self):
        return f'<svg><title>{self.name}</title>\\n<desc>The "{self.name}" &amp; more</desc></svg>'


class T(P):
    def _repr_svg_(self):
        return None

    def _repr_html_(self):
        return "<table></table>"
'''
BODY = """
Prose, [linked](other.md).

```source the docstring, inc
```

```source ONE
```

- In a list:

    ```quote inc
    ```

    ```pycon
    >>> inc(1)
    2
    ```

```source P, T
```

```pycon
>>> x = P("one")
>>> x
one
>>> if True:
...     print("a")
a
>>> P("two")
two
```

```pycon
>>> T("table")
table
```

```pycon requires=no-such-thing
>>> 1
2
```

```quote chapters.toy.other.C.f
```

/// exercise | Twice, then
Do it.

```python starter
def twice(x): return x
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

/// break | Wrong
Look:

```diff inc test=test_inc
-    return x + ONE
+    return x + 2 * ONE
```
```pycon
>>> inc(1)
3
```
///
"""
SHOWN = '''\
# M

Prose, [linked](other.md).

```python
# chapters/toy/m.py, line 1
"""Doc."""

ONE = 1


def inc(x):
    return x + ONE
```

- In a list:

    Again, from `chapters.toy.m`:

    ```python
    # chapters/toy/m.py, line 6
    def inc(x):
        return x + ONE
    ```

    ```pycon
    >>> inc(1)
    2
    ```

```python
# chapters/toy/m.py, line 10
CLASSES
```

```pycon
>>> x = P("one")
>>> x
one
```
![one](m/picture-1.svg "The 'one' & more")
```pycon
>>> if True:
...     print("a")
a
>>> P("two")
two
```
![two](m/picture-2.svg "The 'two' & more")

```pycon
>>> T("table")
table
```

```pycon
>>> 1
2
```

(Recorded, not run: this machine lacks no-such-thing.)

Again, from `chapters.toy.other`:

```python
# chapters/toy/other.py, line 2
    def f(self): pass
```

### Exercise: Twice, then

Do it.

```python
def twice(x): return x
```

Check:

```pycon
>>> twice(2)
4
```

<details markdown>
<summary>Hint</summary>

Think.

</details>

<details markdown>
<summary>Solution</summary>

```python
def twice(x): return x + x
```

</details>

### Break it: Wrong

Look:

```diff
 def inc(x):
-    return x + ONE
+    return x + 2 * ONE
```

```pycon
>>> inc(1)
3
```

Caught by `test_inc`:

```text
test_inc: assert 3 == 2
 +  where 3 = inc(1)
```
'''


@pytest.fixture(scope="module")
def chapter(make_toy: Callable[[], Toy]) -> tuple[Toy, Pressed]:
    toy = make_toy()
    toy.module(MODULE)
    toy.module("class C:\n    def f(self): pass\n", "other")
    body = BODY.replace("the docstring, inc", "the docstring, ONE, inc")
    toy.page(body.replace("```source ONE\n```\n\n", ""))
    pressed = toy.press()
    assert pressed.problems == []
    return toy, pressed


def squeezed(text: str) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def test_a_page_is_rendered_as_markdown(chapter: tuple[Toy, Pressed]) -> None:
    toy, pressed = chapter
    plain = Plain(pressed, toy.project, lambda module: None)
    classes = MODULE[MODULE.index("class P") :].rstrip()
    assert squeezed(plain.render()) == squeezed(SHOWN.replace("CLASSES", classes))
    assert plain.pictures == {
        f"m/picture-{number}.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><title>{name}</title>\n'
        f'<desc>The "{name}" &amp; more</desc></svg>\n'
        for number, name in [(1, "one"), (2, "two")]
    }


def test_parts_that_follow_each_other_are_one_listing() -> None:
    source = Source("a = 1\n\nb = 2\n\n\ndef f(): pass\n\n\nc = 3\n", "m.py")
    parts = [part for name in ("a", "b", "c") for part in source.find(name)]
    assert list(listing(source, parts)) == [(1, "a = 1\n\nb = 2\n"), (9, "c = 3\n")]


def test_a_session_ends_where_a_picture_is_shown() -> None:
    plain, rich = Outcome(1, "1", "1"), Outcome(2, "2", "2", rich={"text/html": "x"})
    assert list(segments([plain, rich, rich, plain])) == [[plain, rich], [rich], [plain]]
    assert list(segments([plain, rich])) == [[plain, rich]]
    assert list(segments([])) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x\n", "```c\nx\n```\n"),
        ("```\n", "````c\n```\n````\n"),
        ("a `````` b", "```````c\na `````` b\n```````\n"),
    ],
)
def test_a_fence_is_longer_than_what_it_holds(text: str, expected: str) -> None:
    assert fence("c", text) == expected


def test_small_things_are_made_of_text() -> None:
    assert slugify("An LRU cache, twice (2)!") == "an-lru-cache-twice-2"
    assert svg_text("<svg><title> a &lt; b\n</title></svg>", "title") == "a < b"
    assert svg_text("<svg></svg>", "desc") == ""
