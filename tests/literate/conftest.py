"""A small project to press, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from literate import needs
from literate.pressed import Pressed
from literate.project import Project
from literate.run import press, read
from tests.conftest import THOROUGH

PROCESSES = ("cli", "mkdocs_plugin", "mutants", "notebook", "pytest_plugin", "run", "verified")
"""What is tested by processes that run pytest, mkdocs and Jupyter; it takes most of the time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave those out of a quick run of everything."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if not THOROUGH and len(here) < len(items):
        why = "the press runs whole with WALKTHROUGHS_REQUIRE_REAL=1, or for pytest tests/literate"
        for item in here:
            if item.path.stem.removeprefix("test_") in PROCESSES:
                item.add_marker(pytest.mark.skip(reason=why))


MODULE = '''\
"""Adding."""

ONE = 1


def inc(x):
    """Add one."""
    return x + ONE


async def later(x):
    return inc(x)
'''
PAGE = """\
## Start

```source the docstring, the constants
```

Adding one is the start of everything.

```source inc
```

```pycon
>>> inc(1)
2
```

```source later
```
"""
TESTS = """\
from chapters.toy.m import inc


def test_inc():
    assert inc(1) == 2


def test_of_nothing():
    assert True


def test_that_fails():
    assert inc(1) == 7
"""


@dataclass
class Toy:
    """A project with one chapter: `notes/toy/m.md` walks `chapters/toy/m.py`."""

    root: Path
    name: str = "notes/toy/m.md"

    @property
    def project(self) -> Project:
        return Project.find(self.root)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def read(self, path: str = "notes/toy/m.md") -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        assert old in text
        self.write(path, text.replace(old, new))

    def page(self, body: str, *front: str, stem: str = "m") -> Path:
        """Write `notes/toy/STEM.md`; its body starts on line 5, or below the further `front`."""
        head = ["---", "title: M", f"module: chapters.toy.{stem}", *front, "---"]
        return self.write(f"notes/toy/{stem}.md", "\n".join(head) + "\n" + body)

    def module(self, text: str, stem: str = "m") -> Path:
        return self.write(f"chapters/toy/{stem}.py", text)

    def press(self, path: str = "notes/toy/m.md", *, cache: bool = False) -> Pressed:
        return press(read(self.root / path, self.project), self.project, cache=cache)

    def reports(self, body: str, *front: str) -> list[str]:
        """Return what is said of a page with `body`."""
        self.page(body, *front)
        return [str(each) for each in self.press().problems]


def toy_in(folder: Path) -> Toy:
    toy = Toy(folder)
    toy.write("pyproject.toml", '[tool.literate]\nmodules = "chapters"\n')
    toy.write("chapters/__init__.py", "")
    toy.write("chapters/toy/__init__.py", '"""Toys."""\n')
    toy.module(MODULE)
    toy.page(PAGE)
    toy.write("tests/toy/test_m.py", TESTS)
    return toy


@pytest.fixture(scope="module", autouse=True)
def nothing_is_required() -> Iterator[None]:
    """Let a toy lack what it says, wherever these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(needs.REQUIRE_REAL, raising=False)
        yield


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A project of this test's own."""
    return toy_in(tmp_path)


@pytest.fixture(scope="module")
def make_toy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Toy]:
    """Make a project for several tests."""
    return lambda: toy_in(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def shared(make_toy: Callable[[], Toy]) -> Toy:
    """A project in which each test of a file writes the page that it needs."""
    return make_toy()
