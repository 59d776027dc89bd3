"""Pages as tests, run by a pytest of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from literate import pytest_entry, pytest_plugin

if TYPE_CHECKING:
    from conftest import Toy

BODY = """\
## Start

```source the docstring, the constants
```

```source inc
```

```pycon
>>> inc(1)
2
```

```source later
```

```pycon
>>> await later(1)
2
```

/// exercise | Twice
Do it.

```python starter
def twice(x): return x
```
```pycon check
>>> twice(2)
4
```
```markdown hint
Hint.
```
```python solution
def twice(x): return 2 * x
```
///

/// break | Wrong
Prose.

```diff inc test=test_inc
-    return x + ONE
+    return x - ONE
```
///
"""
TESTS = "from chapters.toy.m import inc\n\n\ndef test_inc():\n    assert inc(1) == 2\n"
ITEMS = [
    "every line of the module is shown once",
    "line 13: example inc(1)",
    "line 21: example await later(1)",
    "line 26: exercise Twice",
    "line 44: break it Wrong",
    "notebook",
]


def run(toy: Toy, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=toy.root, capture_output=True, text=True)


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return each item of the page, and how it ended."""
    lines = [
        line.rpartition("[")[0].rstrip() for line in done.stdout.splitlines() if ".md::" in line
    ]
    split = (line.partition("::")[2].rpartition(" ") for line in lines if line)
    return {name: outcome for name, _, outcome in split}


@pytest.fixture(scope="module")
def chapter(make_toy: Callable[[], Toy]) -> Toy:
    toy = make_toy()
    toy.page(BODY)
    toy.write("tests/toy/test_m.py", TESTS)
    toy.module("", "other")
    toy.page("```pycon\n>>> 1\n1\n```\n", stem="other")
    return toy


def test_a_page_is_a_test_of_each_block_and_of_its_notebook(chapter: Toy) -> None:
    done = run(chapter, "-v", "notes/toy/m.md", "tests/toy/test_m.py")
    assert outcomes(done) == dict.fromkeys(ITEMS, "PASSED")
    table = done.stdout.partition(" verified, by chapter ")[2].splitlines()
    assert [line for line in table if line.strip()][1:3] == [
        "        examples  exercises  mutations      tests   notebook",
        "toy/m          2          1          1          1          1",
    ]
    assert done.returncode == 0


def test_collecting_runs_nothing(chapter: Toy) -> None:
    ran = chapter.root / "ran"
    chapter.page(f"```pycon\n>>> ran = 1\n>>> open({str(ran)!r}, 'w').close()\n```\n", stem="other")
    done = run(chapter, "--collect-only", "-q", "notes")
    assert done.stdout.splitlines()[:9] == [
        *(f"notes/toy/m.md::{name}" for name in ITEMS),
        "notes/toy/other.md::every line of the module is shown once",
        "notes/toy/other.md::line 5: example ran = 1",
        "notes/toy/other.md::notebook",
    ]
    assert "verified, by chapter" not in done.stdout
    assert not ran.exists()
    chapter.page("```pycon\n>>> 1\n1\n```\n", stem="other")


def test_items_can_be_chosen(chapter: Toy) -> None:
    done = run(chapter, "-v", "notes", "-k", "other and not notebook")
    assert outcomes(done) == {ITEMS[0]: "PASSED", "line 5: example 1": "PASSED"}
    assert "2 passed, 7 deselected" in done.stdout


SHOWN = "```source the docstring, the constants, inc, later\n```\n"
LEAVING = SHOWN + "```pycon\n>>> import os\n>>> os._exit(3)\n```\n\n```pycon\n>>> 1\n1\n```\n"
LACKING = SHOWN + "```pycon requires=no-such-thing\n>>> 1\n2\n```\n"


@pytest.fixture(scope="module")
def failing(make_toy: Callable[[], Toy]) -> subprocess.CompletedProcess[str]:
    """What is said of pages that fail in several ways, of one run."""
    toy = make_toy()
    toy.page(BODY.replace("later(1)\n2", "later(1)\n3"), "holes: [inc, lost]")
    for stem, body in {"leaving": LEAVING, "lacking": LACKING}.items():
        toy.module(toy.read("chapters/toy/m.py"), stem)
        toy.page(body, stem=stem)
    toy.write("docs/x.md", ">>> 1\n")
    return run(toy, "-v", "-rs", "notes", "docs")


def of_page(done: subprocess.CompletedProcess[str], name: str) -> dict[str, str]:
    """Return how the items of one page ended."""
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"notes/toy/{name}.md::")]
    ends = (re.match(r".*?::(.*?) ([A-Z]+)( \(.*\))? +\[", line) for line in lines)
    return {end[1]: end[2] for end in ends if end}


def test_a_failing_block_fails_alone(failing: subprocess.CompletedProcess[str]) -> None:
    assert of_page(failing, "m") == {
        ITEMS[0]: "FAILED",
        "line 14: example inc(1)": "PASSED",
        "line 22: example await later(1)": "FAILED",
        "line 27: exercise Twice": "PASSED",
        "line 45: break it Wrong": "FAILED",
        "notebook": "FAILED",
    }
    out = failing.stdout
    assert (
        "notes/toy/m.md:4: chapters/toy/m.py has no function 'lost' to take the body out of" in out
    )
    assert (
        "notes/toy/m.md:23: the example did something else\n"
        "    Expected:\n        3\n    Got:\n        2\n"
    ) in out
    assert "notes/toy/m.md:1: the page fails, so its notebook was not run\n" in out
    assert "Traceback" not in out
    assert failing.returncode == 1


def test_a_block_that_was_never_reached_says_why(
    failing: subprocess.CompletedProcess[str],
) -> None:
    assert of_page(failing, "leaving") == {
        ITEMS[0]: "PASSED",
        "line 7: example import os": "FAILED",
        "line 12: example 1": "FAILED",
        "notebook": "FAILED",
    }
    assert (
        "notes/toy/leaving.md:12: never reached: "
        "notes/toy/leaving.md:9: the page's process died with exit status 3\n"
    ) in failing.stdout


def test_what_a_machine_lacks_is_skipped(failing: subprocess.CompletedProcess[str]) -> None:
    assert of_page(failing, "lacking") == {
        ITEMS[0]: "PASSED",
        "line 7: example 1": "SKIPPED",
        "notebook": "SKIPPED",
    }
    assert "this machine lacks no-such-thing\n" in failing.stdout


def test_markdown_outside_of_the_notes_is_no_test(
    failing: subprocess.CompletedProcess[str],
) -> None:
    assert "docs/x.md" not in failing.stdout


def test_a_page_that_cannot_be_read_is_an_error_of_the_collection(toy: Toy) -> None:
    toy.write(toy.name, "---\ntitle: M\n---\n```source\n")
    done = run(toy, "-q", "notes")
    report = done.stdout.partition("ERROR collecting notes/toy/m.md")[2].splitlines()[1:5]
    assert report == [
        "notes/toy/m.md:1: the front matter has no 'module'",
        "notes/toy/m.md:4: a source block names at least one symbol",
        "notes/toy/m.md:4: the fence ```source is never closed",
        "=========================== short test summary info ============================",
    ]
    assert done.returncode == 2


def test_pytest_is_given_every_hook_of_the_plugin() -> None:
    hooks = {name for name in vars(pytest_plugin) if name.startswith("pytest_")}
    assert hooks == set(pytest_entry.__all__)


def test_a_quick_run_of_many_pages_executes_one_notebook_in_twenty_four(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def left_out(number: int) -> int:
        pages = [
            pytest_plugin.NotebookItem.from_parent(request.session, name=f"{each}")
            for each in range(number)
        ]
        pytest_plugin.pytest_collection_modifyitems([*pages])
        return sum(page.get_closest_marker("skip") is not None for page in pages)

    monkeypatch.delenv("WALKTHROUGHS_REQUIRE_REAL", raising=False)
    assert (left_out(24), left_out(80)) == (0, 76)
    monkeypatch.setenv("WALKTHROUGHS_REQUIRE_REAL", "1")
    assert left_out(80) == 0
