"""The site builder's adapter: a build is whole or not at all, a server lives on."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files

from literate.mkdocs_plugin import LiteratePlugin

if TYPE_CHECKING:
    from conftest import Toy

MKDOCS = """\
site_name: Toys
theme: {name: mkdocs, analytics: {gtag: null}}
plugins: [literate]
markdown_extensions: [abbr, attr_list, def_list, md_in_html, pymdownx.superfences]
validation: {anchors: warn}
not_in_nav: '*.py.md'
"""
INDEX = "# Toys\n\nSee [m](toy/m.md).\n\n```pycon\n>>> 1 + 1\n2\n```\n\n<!-- ledger -->\n"
GLOSSARY = "# Glossary\n\n`ring`\n:   A [list](index.md) that *ends* where it begins.\n"


def site_in(toy: Toy) -> Toy:
    toy.write("mkdocs.yml", MKDOCS)
    toy.write("docs/index.md", INDEX)
    toy.write("docs/glossary.md", GLOSSARY)
    toy.replace(toy.name, "Adding one", "On a ring, adding one")
    return toy


@pytest.fixture(scope="module")
def built(make_toy: Callable[[], Toy]) -> Toy:
    """A site, built once."""
    toy = site_in(make_toy())
    done = mkdocs(toy)
    assert done.returncode == 0, done.stderr
    return toy


@pytest.fixture
def site(built: Toy, tmp_path: Path) -> Toy:
    """A copy of it, to plant mistakes in."""
    shutil.copytree(built.root, tmp_path / "site")
    return type(built)(tmp_path / "site")


def mkdocs(toy: Toy) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    quiet = os.environ | {"DISABLE_MKDOCS_2_WARNING": "true", "NO_MKDOCS_2_WARNING": "true"}
    return subprocess.run(command, cwd=toy.root, capture_output=True, text=True, env=quiet)


def files(toy: Toy) -> dict[str, bytes]:
    site = toy.root / "site"
    return {
        str(each.relative_to(site)): each.read_bytes() for each in site.rglob("*") if each.is_file()
    }


def test_a_build_has_the_chapters_and_what_can_be_taken_away(built: Toy) -> None:
    made = {
        name for name in files(built) if not re.match(r"assets|css|js|img|webfonts|search", name)
    }
    assert made == {
        "404.html",
        "downloads/toy/m.ipynb",
        "downloads/toy/m.md",
        "downloads/toy/m.py",
        "glossary/index.html",
        "index.html",
        "ledger.json",
        "llms.txt",
        "sitemap.xml",
        "sitemap.xml.gz",
        "toy/m.py/index.html",
        "toy/m/index.html",
    }
    assert not (built.root / "site.building").exists()


def test_the_terms_of_the_glossary_are_explained_where_they_are_used(built: Toy) -> None:
    abbr = '<abbr title="A list that ends where it begins.">ring</abbr>'
    assert abbr in built.read("site/toy/m/index.html")
    assert abbr not in built.read("site/glossary/index.html")


def test_the_ledger_is_shown_where_a_page_wants_it(built: Toy) -> None:
    home = built.read("site/index.html")
    assert "<br><code>chapters/toy/m.py</code></td>" in home
    assert "7 of 7" in home


Plant = Callable[["Toy"], None]
LOOP = ">>> while True: pass\n"
EXERCISE = """
/// exercise | One
Do.

```python starter
def one(): return {starter}
```
```pycon check
>>> one()
1
```
```markdown hint
Hint.
```
```python solution
def one(): return {solution}
```
///
"""


def page(old: str, new: str) -> Plant:
    return lambda toy: toy.replace(toy.name, old, new)


def module(old: str, new: str) -> Plant:
    return lambda toy: toy.replace("chapters/toy/m.py", old, new)


def exercise(starter: str, solution: str) -> Plant:
    return lambda toy: (
        toy.write(toy.name, toy.read() + EXERCISE.format(starter=starter, solution=solution))
        and None
    )


PLANTED: dict[str, tuple[Plant, str]] = {
    "a changed output": (
        page(">>> inc(1)\n2\n", ">>> inc(1)\n3\n"),
        "notes/toy/m.md:16: the example did something else\n"
        "    Expected:\n        3\n    Got:\n        2\n",
    ),
    "a deleted module line": (
        module("\n\nasync def later(x):\n    return inc(x)\n", ""),
        "notes/toy/m.md:20: chapters/toy/m.py has no 'later'\n",
    ),
    "a module line without which an example fails": (
        module("    return x + ONE\n", ""),
        "notes/toy/m.md:16: the example did something else\n"
        "    Expected:\n        2\n    Got:\n        (nothing)\n",
    ),
    "a deleted block": (
        page("```source later\n```\n", ""),
        "chapters/toy/m.py:11: later (line 11-12) is never shown; "
        "it belongs after notes/toy/m.md:12\n",
    ),
    "an endless loop": (
        page("```pycon\n>>> inc(1)\n2\n", "```pycon limit=0.3\n" + LOOP),
        "notes/toy/m.md:16: this was still running after 0.3 s: stopped\n",
    ),
    "a solution that fails": (
        exercise("0", "2"),
        "notes/toy/m.md:37: the exercise's solution fails its check\n"
        "    Not yet:\n    >>> one()\n    Expected:\n        1\n    Got:\n        2\n",
    ),
    "a starter that passes": (
        exercise("1", "1"),
        "notes/toy/m.md:23: the exercise's starter already passes its check\n",
    ),
    "a fence never closed": (
        page("```source later\n```\n", "```source later\n"),
        "notes/toy/m.md:20: the fence ```source later is never closed\n",
    ),
    "a quote of nothing": (
        page("```source later\n", "```quote lost\n```\n\n```source later\n"),
        "notes/toy/m.md:20: no module of this project has 'lost'\n",
    ),
    "a module without a page": (
        lambda toy: toy.module("", "lost") and None,
        "chapters/toy/lost.py:1: no page walks chapters.toy.lost; "
        "it belongs in notes/toy/lost.md\n",
    ),
    "an output on a page of docs": (
        lambda toy: toy.replace("docs/index.md", "\n2\n", "\n3\n"),
        "docs/index.md:6: the example did something else\n"
        "    Expected:\n        3\n    Got:\n        2\n",
    ),
}


@pytest.fixture(scope="module")
def config(built: Toy) -> Callable[[Toy, str], tuple[LiteratePlugin, MkDocsConfig]]:
    """Return a function that loads a site's configuration as mkdocs does for a command."""

    def load(toy: Toy, command: str) -> tuple[LiteratePlugin, MkDocsConfig]:
        loaded = load_config(str(toy.root / "mkdocs.yml"))
        plugin = loaded.plugins["literate"]
        assert isinstance(plugin, LiteratePlugin)
        plugin.on_startup(command=command, dirty=False)
        return plugin, plugin.on_config(loaded)

    return load


@pytest.mark.parametrize(("plant", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_mistake_fails_the_build(
    site: Toy,
    config: Callable[..., tuple[LiteratePlugin, MkDocsConfig]],
    plant: Plant,
    message: str,
) -> None:
    plant(site)
    plugin, loaded = config(site, "build")
    with pytest.raises(PluginError) as raised:
        plugin.on_pre_build(config=loaded)
    assert str(raised.value) == message + "1 problem; the old site stays as it was"


def test_a_failed_build_leaves_the_old_site_alone(site: Toy) -> None:
    before = files(site)
    site.replace(site.name, ">>> inc(1)\n2\n", ">>> inc(1)\n3\n")
    done = mkdocs(site)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert (
        "notes/toy/m.md:16: the example did something else\n"
        "    Expected:\n        3\n    Got:\n        2\n1 problem; the old site stays as it was"
    ) in done.stderr
    assert files(site) == before
    assert not (site.root / "site.building").exists()


def test_a_broken_link_leaves_the_old_site_alone(site: Toy) -> None:
    before = files(site)
    site.replace(site.name, "## Start", "## Start\n\n[Lost](lost.md).")
    done = mkdocs(site)
    assert done.returncode == 1
    assert "'toy/m.md' contains a link 'lost.md'" in done.stdout + done.stderr
    assert files(site) == before
    assert not (site.root / "site.building").exists()


def test_a_build_takes_the_place_of_the_old_site(site: Toy) -> None:
    site.write("site/old.html", "old")
    site.replace("docs/index.md", "# Toys", "# More toys")
    assert mkdocs(site).returncode == 0
    assert not (site.root / "site/old.html").exists()
    assert "More toys" in site.read("site/index.html")


def served(plugin: LiteratePlugin, loaded: MkDocsConfig) -> dict[str, str]:
    """Do what a server does until the pages are rendered; return the Markdown of the pages."""
    plugin.on_config(loaded)
    plugin.on_pre_build(config=loaded)
    made = loaded.plugins.on_files(Files([]), config=loaded)
    return {file.src_uri: file.content_string for file in made}


SHOWN_ON = {"an output on a page of docs": "index.md", "a module without a page": ""}


@pytest.mark.parametrize("name", PLANTED)
def test_a_server_shows_a_mistake_in_its_place_and_lives_on(
    site: Toy,
    config: Callable[..., tuple[LiteratePlugin, MkDocsConfig]],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    plant, message = PLANTED[name]
    plugin, loaded = config(site, "serve")
    good = served(plugin, loaded)
    assert loaded.site_dir == str(site.root / "site")
    plant(site)
    with caplog.at_level(logging.ERROR, "mkdocs.plugins.literate"):
        bad = served(plugin, loaded)
    assert [record.getMessage() + "\n" for record in caplog.records] == [message]
    assert {*good} - {*bad} <= {"toy/m.py.md"}
    if shown := SHOWN_ON.get(name, "toy/m.md"):
        place, _, what = message.splitlines()[0].partition(": ")
        assert f'!!! failure "{place}"' in bad[shown]
        assert what in bad[shown].replace("&#x27;", "'")
    plugin.on_post_build(config=loaded)
    plugin.on_shutdown()


def test_a_server_shows_a_failure_below_its_block(
    site: Toy, config: Callable[..., tuple[LiteratePlugin, MkDocsConfig]]
) -> None:
    site.replace(site.name, ">>> inc(1)\n2\n", ">>> inc(1)\n3\n")
    text = served(*config(site, "serve"))["toy/m.md"]
    places = [text.index(each) for each in (">>> inc(1)", "!!! failure", "async def later")]
    assert places == sorted(places)


def test_a_server_watches_what_a_page_depends_on(
    site: Toy, config: Callable[..., tuple[LiteratePlugin, MkDocsConfig]]
) -> None:
    class Server:
        def __init__(self) -> None:
            self.watched: list[str] = []

        def watch(self, path: str) -> None:
            self.watched.append(path)

    plugin, loaded = config(site, "serve")
    server = Server()
    assert plugin.on_serve(server, config=loaded, builder=None) is server
    assert server.watched == [str(site.root / each) for each in ("notes", "chapters", "tests")]
