"""What a page knows of itself."""

from __future__ import annotations

import pytest

from literate.grammar import parse
from literate.page import names

TEXT = """\
---
title: Sums
module: chapters.toy.m
holes: [inc, C.f]
requires: gcc, python:kazoo
---
Above every section.

## One *thing*

````markdown
```
## Not a section
````

```text
# nor this
~~~
```

### Two

After.
"""


def test_a_page_says_what_its_front_matter_says() -> None:
    page = parse(TEXT, "notes/toy/m.md")
    assert (page.title, page.module, page.body) == ("Sums", "chapters.toy.m", 7)
    assert page.holes == ["inc", "C.f"]
    assert page.requires == ("gcc", "python:kazoo")


@pytest.mark.parametrize(
    ("line", "heading"),
    [(8, (1, "Sums")), (10, (9, "One *thing*")), (20, (9, "One *thing*")), (23, (21, "Two"))],
)
def test_the_heading_above_a_line_is_no_line_of_a_fence(
    line: int, heading: tuple[int, str]
) -> None:
    assert parse(TEXT, "m.md").heading_above(line) == heading


def test_text_is_what_stands_outside_fences_and_front_matter() -> None:
    page = parse(TEXT, "m.md")
    assert [i for i, is_text in enumerate(page.is_text, 1) if is_text] == [
        *range(7, 11),
        15,
        *range(20, 24),
    ]


@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), ("a", ("a",)), (" a , b c,, ", ("a", "b c"))]
)
def test_names_are_separated_by_commas(text: str, expected: tuple[str, ...]) -> None:
    assert names(text) == expected
